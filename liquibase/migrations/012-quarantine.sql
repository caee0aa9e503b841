-- Keys that are set aside are tried again by themselves, and may be longer than an index entry. Run once by a migration, and by
-- psql at each install and upgrade: again is harmless.
ALTER TABLE tally.quarantine DROP CONSTRAINT IF EXISTS quarantine_pkey;
ALTER TABLE tally.quarantine
    ADD COLUMN IF NOT EXISTS id bigint GENERATED ALWAYS AS IDENTITY,
    ADD COLUMN IF NOT EXISTS tries integer NOT NULL DEFAULT 1,
    ADD COLUMN IF NOT EXISTS tried_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ADD COLUMN IF NOT EXISTS retry_at timestamptz NOT NULL DEFAULT clock_timestamp();
ALTER TABLE tally.quarantine ADD PRIMARY KEY (id);
CREATE UNIQUE INDEX IF NOT EXISTS quarantine_view_id_md5_idx ON tally.quarantine (view_id, md5(key::text));
CREATE INDEX IF NOT EXISTS quarantine_view_id_retry_at_idx ON tally.quarantine (view_id, retry_at);
