-- tally.refresh_snapshot: refresh a materialized view if a table that it reads has changed since the last refresh.
--   Returns   outcome 'merged' or 'nothing'; consumed: the number of statements that changed something
--   Locks     EXCLUSIVE on the materialized view, which lets readers go on. The first refresh, and one of an empty view, is not
--             concurrent and takes ACCESS EXCLUSIVE
CREATE OR REPLACE FUNCTION tally.refresh_snapshot(v tally.derived_view)
RETURNS tally.merge_result LANGUAGE plpgsql AS $$
DECLARE
    result  tally.merge_result := ROW('nothing', 0, 0, 0, 0, false, NULL);
    through xid8;
    nulls   text;
BEGIN
    EXECUTE format('WITH taken AS (DELETE FROM %s WHERE tally_xid >= (SELECT tally.scan_from($1)) RETURNING 1) '
                || 'SELECT count(*), pg_snapshot_xmin(pg_current_snapshot()) FROM taken', tally.part(v, '_delta'))
        INTO result.consumed, through USING v.id;
    IF result.consumed = 0 THEN
        RETURN result;
    END IF;
    PERFORM tally.require_full_unique_index(v.definition);
    IF (SELECT relispopulated FROM pg_class WHERE oid = v.definition) THEN
        EXECUTE format('REFRESH MATERIALIZED VIEW CONCURRENTLY %s', v.definition);
    ELSE
        EXECUTE format('REFRESH MATERIALIZED VIEW %s', v.definition);
    END IF;
    SELECT string_agg(format('%I', a.attname), ', ') INTO nulls
    FROM pg_stats st JOIN pg_attribute a ON a.attname = st.attname AND a.attrelid = v.definition
    JOIN pg_index i ON i.indrelid = v.definition AND i.indisunique AND a.attnum = ANY (i.indkey)
    WHERE st.schemaname = v.schema_name AND st.tablename = v.relation_name AND st.null_frac > 0;
    IF nulls IS NOT NULL THEN
        RAISE WARNING '% has NULLs in its unique columns %: each refresh writes those rows anew.', v.definition, nulls
            USING HINT = 'Give them a value in the definition, with coalesce() say.';
    END IF;
    result.outcome := 'merged';
    PERFORM tally.record_merge(v.id, result, through);
    RETURN result;
END
$$;
