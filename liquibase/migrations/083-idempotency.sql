-- Requests that carried an Idempotency-Key, and the runs that they became; and runs by the time of their request.
CREATE TABLE control.idempotency_key (
    who     text NOT NULL,
    key     text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    request jsonb NOT NULL,
    runs    bigint[],
    made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (who, key)
);
COMMENT ON TABLE control.idempotency_key IS 'requests of the last day that carried an Idempotency-Key, and the runs that they became';
COMMENT ON COLUMN control.idempotency_key.who IS 'the name of the token: each has keys of its own';
CREATE INDEX run_requested ON control.run (requested_at);
