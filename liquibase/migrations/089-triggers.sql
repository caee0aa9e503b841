-- The state in which the engine left or last saw its triggers, by table. Run once by a migration, and by psql at each install and upgrade: again is harmless.
ALTER TABLE tally.fingerprint ADD COLUMN IF NOT EXISTS triggers jsonb NOT NULL DEFAULT '{}';
