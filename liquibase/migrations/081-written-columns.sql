-- The numbers of the columns that are written back to, by which they are found under other names. An installed engine gets this column from
-- sql/tally/upgrade.sql too, so it may be there.
ALTER TABLE tally.write_back ADD COLUMN IF NOT EXISTS numbers jsonb;   -- {"column of the target": number}; NULL: not known yet
