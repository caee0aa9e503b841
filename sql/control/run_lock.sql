-- control.run_lock: the class of the advisory locks that hold runs.
CREATE OR REPLACE FUNCTION control.run_lock()
RETURNS integer LANGUAGE sql IMMUTABLE AS $$ SELECT 1668183662 $$;
COMMENT ON FUNCTION control.run_lock() IS 'the class of the advisory locks that hold runs';
