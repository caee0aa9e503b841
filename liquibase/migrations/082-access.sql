-- Who may call the API, and what they did.
CREATE TABLE control.token (
    name       text PRIMARY KEY CHECK (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
    role       text NOT NULL CHECK (role IN ('reader', 'operator', 'owner')),
    hash       bytea NOT NULL UNIQUE CHECK (length(hash) = 32),
    made_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    made_by    text NOT NULL,
    expires_at timestamptz
);
COMMENT ON TABLE control.token IS 'named bearer tokens of the API; that of COUNTERSINK_API_TOKEN is not among them';
COMMENT ON COLUMN control.token.hash IS 'SHA-256 of the token, which itself is stored nowhere';

CREATE TABLE control.audit (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    who     text NOT NULL,
    role    text NOT NULL,
    address text NOT NULL,
    method  text NOT NULL,
    path    text NOT NULL,
    target  text,
    status  int,
    runs    bigint[] NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_who ON control.audit (who, id);
COMMENT ON TABLE control.audit IS 'one row for each request to the API that would change something';
COMMENT ON COLUMN control.audit.who IS 'the name of the token';
COMMENT ON COLUMN control.audit.target IS 'the view, run, dead letter, session or token that was meant';
COMMENT ON COLUMN control.audit.status IS 'of the answer; NULL while there is none, and for ever if the instance died before it';
COMMENT ON COLUMN control.audit.runs IS 'the runs that were requested, or cancelled';
