-- tally.lock_tables: lock tables, all or none, always in the same order, without blocking others for long.
--   Parameters tables; mode: as of LOCK TABLE
--   Locks      the tables, until the transaction ends. Each attempt waits 100 ms a table at most. That is shorter than deadlock_timeout,
--              so no writer becomes the victim of a deadlock, and readers and writers behind it wait no longer than that. Attempts
--              are repeated, with pauses, until lock_timeout has passed; if it is not set, 2 s, or a second more than deadlock_timeout.
--              An autovacuum is interrupted
--   Raises     TL015
CREATE OR REPLACE FUNCTION tally.lock_tables(tables regclass[], mode text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    patience text := current_setting('lock_timeout');
    limit_ms float8 := (SELECT CASE WHEN s.setting <> '0' THEN s.setting::float8 ELSE greatest(2000, d.setting::float8 + 1000) END
                        FROM pg_settings s, pg_settings d WHERE s.name = 'lock_timeout' AND d.name = 'deadlock_timeout');
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
            PERFORM tally.fail('TL015', format('%s could not be locked within %s ms: %s.', names, limit_ms, tally.lock_holders(tables, mode)));
        END IF;
        PERFORM tally.interrupt_autovacuum(tables, 1000 * extract(epoch FROM deadline - clock_timestamp())::float8);
        PERFORM pg_sleep(pause * (0.5 + random()));
        pause := least(pause * 2, 0.2);
    END LOOP;
END
$$;

-- tally.lock_holders: who holds tables, or their partitions, in a way that conflicts with a mode of LOCK TABLE, for a sentence.
CREATE OR REPLACE FUNCTION tally.lock_holders(tables regclass[], mode text)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT coalesce(string_agg(h.who, ', ' ORDER BY h.who) FILTER (WHERE h.n <= 5) || CASE WHEN max(h.n) > 5 THEN format(' and %s more', max(h.n) - 5) ELSE '' END, 'other transactions hold them')
    FROM (SELECT row_number() OVER (ORDER BY l.pid, l.relation) AS n,
                 format('%s holds %s%s', coalesce('process ' || l.pid, 'a prepared transaction'), l.relation::regclass,
                        CASE bool_or(l.mode = 'ShareUpdateExclusiveLock') WHEN true THEN ' for maintenance (VACUUM, ANALYZE, CREATE INDEX CONCURRENTLY)' ELSE '' END) AS who
          FROM pg_locks l
          WHERE l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()) AND l.pid IS DISTINCT FROM pg_backend_pid() AND l.granted
            AND l.relation IN (SELECT m FROM unnest(tables) u CROSS JOIN LATERAL tally.table_and_children(u) m)
            AND CASE mode WHEN 'ACCESS EXCLUSIVE' THEN true WHEN 'ACCESS SHARE' THEN l.mode = 'AccessExclusiveLock' ELSE l.mode NOT IN ('AccessShareLock', 'RowShareLock') END
          GROUP BY l.pid, l.relation) h
$$;
