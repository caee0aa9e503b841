-- tally.lock_tables: lock tables, all or none, always in the same order, without blocking others for long.
--   Parameters tables; mode: as of LOCK TABLE
--   Locks      the tables, until the transaction ends. Each attempt waits 100 ms a table at most. That is shorter than deadlock_timeout,
--              so no writer becomes the victim of a deadlock, and readers and writers behind it wait no longer than that. Attempts
--              are repeated, with pauses, until lock_timeout has passed (2 s if it is not set)
--   Raises     TL015
CREATE OR REPLACE FUNCTION tally.lock_tables(tables regclass[], mode text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    patience text := current_setting('lock_timeout');
    limit_ms float8 := (SELECT CASE WHEN s.setting = '0' THEN 2000 ELSE s.setting::float8 END FROM pg_settings s WHERE s.name = 'lock_timeout');
    deadline timestamptz := clock_timestamp() + limit_ms * interval '1 ms';
    names    text := (SELECT string_agg(t::text, ', ' ORDER BY t::oid) FROM (SELECT DISTINCT t FROM unnest(tables) t) x(t));
    pause    float8 := 0.01;
BEGIN
    WHILE names IS NOT NULL LOOP
        BEGIN
            PERFORM set_config('lock_timeout', least(limit_ms, 100)::text || 'ms', true);
            EXECUTE format('LOCK TABLE %s IN %s MODE', names, mode);
            PERFORM set_config('lock_timeout', patience, true);
            RETURN;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            NULL;  -- the tables that it could lock are unlocked again
        END;
        IF clock_timestamp() >= deadline THEN
            PERFORM tally.fail('TL015', format('%s could not be locked within %s ms: other transactions hold them.', names, limit_ms));
        END IF;
        PERFORM pg_sleep(pause * (0.5 + random()));
        pause := least(pause * 2, 0.2);
    END LOOP;
END
$$;
