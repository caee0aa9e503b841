-- results.database_identity: tells this database from every other one, so that services of two databases notice that they share a stream.
--   Returns    its name, the server's identifier and the number of the database, in this order. It is the same after a failover, and another
--              one for a copy made by pg_dump or as a template
--   Reads      the catalog
CREATE OR REPLACE FUNCTION results.database_identity()
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format('%s, %s/%s', current_database(),
                  CASE WHEN has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')
                       THEN (SELECT c.system_identifier FROM pg_control_system() c) ELSE 0 END, d.oid)
    FROM pg_database d WHERE d.datname = current_database()
$$;
COMMENT ON FUNCTION results.database_identity() IS 'tells this database from every other one';
