-- Attempts to apply a message that ended with the program; a message that has come to an outcome has no row.
CREATE TABLE results.delivery_attempt (
    stream        text        NOT NULL,
    stream_seq    bigint      NOT NULL,
    published_at  timestamptz NOT NULL,
    attempts      integer     NOT NULL DEFAULT 1 CHECK (attempts > 0),
    last_begun_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (stream, stream_seq, published_at)
);
COMMENT ON TABLE results.delivery_attempt IS 'attempts to apply a message that have begun and not ended';
