-- What an operator is to be told of, since when, and whether the webhook has been told.
CREATE TABLE control.alert (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source      text NOT NULL,
    rule        text NOT NULL,
    subject     text NOT NULL,
    level       text NOT NULL CHECK (level IN ('warn', 'bad')),
    sentence    text NOT NULL,
    remedy      text NOT NULL,
    since       timestamptz NOT NULL DEFAULT clock_timestamp(),
    fired_at    timestamptz,
    resolved_at timestamptz,
    sent        text CHECK (sent IN ('firing', 'resolved')),
    attempts    integer NOT NULL DEFAULT 0,
    retry_at    timestamptz
);
COMMENT ON TABLE control.alert IS 'one thing that is, or was, wrong';
COMMENT ON COLUMN control.alert.source IS 'the instance that alone can see it; empty: every instance sees it';
COMMENT ON COLUMN control.alert.subject IS 'the view or instance that it is about; empty: none';
COMMENT ON COLUMN control.alert.fired_at IS 'when it had lasted long enough; null: not yet';
COMMENT ON COLUMN control.alert.sent IS 'what the webhook was told last';
CREATE UNIQUE INDEX alert_open ON control.alert (source, rule, subject) WHERE resolved_at IS NULL;
CREATE INDEX alert_unsent ON control.alert (id) WHERE fired_at IS NOT NULL AND (sent IS NULL OR resolved_at IS NOT NULL AND sent = 'firing');
CREATE INDEX alert_fired ON control.alert (id) WHERE fired_at IS NOT NULL;
