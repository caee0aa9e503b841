-- Remove the engine with every derived view: psql -d DATABASE -f sql/tally/uninstall.sql
-- The watched tables stay as they are; derived tables are dropped.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
BEGIN;
DO $$
DECLARE
    v record;
BEGIN
    -- the last made first, because a chain has to be removed from its top
    FOR v IN SELECT tally.part(d) AS name FROM tally.derived_view d WHERE d.root_id IS NULL ORDER BY d.id DESC LOOP
        PERFORM tally.drop(v.name);
    END LOOP;
END
$$;
DROP SCHEMA tally CASCADE;
COMMIT;
