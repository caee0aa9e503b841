-- What is noted of a source: derived: its columns and expand are the engine's; doubt: why one written by hand cannot reach what the derived one
-- reaches; wanted: look-ups on the way to keys, [{relation, col}], to see whether their index is there; unread: partitions that came
-- or went, whose rows are yet to be enqueued. Run once by a migration, and by psql at each install and upgrade: again is harmless.
ALTER TABLE tally.source
    ADD COLUMN IF NOT EXISTS derived boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS doubt text,
    ADD COLUMN IF NOT EXISTS wanted jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN IF NOT EXISTS unread regclass[] NOT NULL DEFAULT '{}';
