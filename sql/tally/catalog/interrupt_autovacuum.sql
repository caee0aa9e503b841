-- tally.interrupt_autovacuum: make autovacuum leave tables that are to be locked, and keep it from them until the transaction ends.
--   Parameters tables: they and their partitions and children; patience: milliseconds to wait for each; NULL: as long as PostgreSQL takes to cancel it
--   Reads      pg_locks. A table that no maintenance holds is left alone
--   Locks      SHARE UPDATE EXCLUSIVE, for which no reader and no writer waits: only VACUUM, ANALYZE, CREATE INDEX CONCURRENTLY and the like do
--   Notes      PostgreSQL cancels an autovacuum for the sake of whoever has waited deadlock_timeout for its table. Other locks of ours are not waited for that
--              long, because writers would wait behind them. An autovacuum against wraparound goes on; so does a VACUUM that somebody called
CREATE OR REPLACE FUNCTION tally.interrupt_autovacuum(tables regclass[], patience float8 DEFAULT NULL)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    before  text := current_setting('lock_timeout');
    enough  float8 := (SELECT s.setting::float8 + 500 FROM pg_settings s WHERE s.name = 'deadlock_timeout');
    waits   text := ceil(greatest(1, coalesce(patience, enough)))::text || 'ms';
    t       regclass;
BEGIN
    FOR t IN SELECT DISTINCT l.relation::regclass FROM pg_locks l
             WHERE l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()) AND l.pid <> pg_backend_pid()
               AND l.mode = 'ShareUpdateExclusiveLock' AND l.granted
               AND l.relation IN (SELECT m FROM unnest(tables) u CROSS JOIN LATERAL tally.table_and_children(u) m) ORDER BY 1 LOOP
        BEGIN
            PERFORM set_config('lock_timeout', waits, true);
            EXECUTE format('LOCK TABLE ONLY %s IN SHARE UPDATE EXCLUSIVE MODE', t);
            PERFORM set_config('lock_timeout', before, true);
        EXCEPTION WHEN lock_not_available OR deadlock_detected OR insufficient_privilege OR undefined_table THEN
            NULL;  -- whoever asked tries its own lock, and says what holds it
        END;
    END LOOP;
END
$$;
