-- Remove the engine with every derived view: psql -d DATABASE -f sql/tally/uninstall.sql
-- The tables that were watched stay as they are; derived tables go.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
BEGIN;
DO $$
DECLARE
    v record;
BEGIN
    -- the last made first: a chain is taken down from its top
    FOR v IN SELECT tally.part(d) AS name FROM tally.derived_view d WHERE d.root_id IS NULL ORDER BY d.id DESC LOOP
        PERFORM tally.drop(v.name);
    END LOOP;
END
$$;
DROP SCHEMA tally CASCADE;
COMMIT;
