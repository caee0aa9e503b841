-- results.advance_sequences: move sequences that are behind their tables, as after rows were copied in with their ids.
--   Returns    the tables whose sequence was behind
--   Reads      the highest ids of results.taxon, detection, occurrence, classification, dead_letter; usually nothing but the end of
--              each index
--   Writes     their sequences
--   Locks      none. If another session takes a number at the same moment, it may be given twice; that is an error of the primary
--              key, after which this is called again
--   Notes      A table that somebody has locked, or that the caller may not read, is left out: whoever inserts will be told.
CREATE OR REPLACE FUNCTION results.advance_sequences()
RETURNS SETOF text LANGUAGE plpgsql SET enable_seqscan = off SET lock_timeout = '20ms' AS $$
DECLARE
    name    text;
    highest bigint;
BEGIN
    FOREACH name IN ARRAY '{taxon,detection,occurrence,classification,dead_letter}'::text[] LOOP
        BEGIN
            EXECUTE format(
                'SELECT max(t.id) FROM results.%1$I t
                 WHERE t.id > (SELECT CASE WHEN s.is_called THEN s.last_value ELSE s.last_value - 1 END FROM results.%2$I s)',
                name, name || '_id_seq') INTO highest;
            IF highest IS NOT NULL THEN
                PERFORM setval(format('results.%I', name || '_id_seq')::regclass, highest);
                RETURN NEXT 'results.' || name;
            END IF;
        EXCEPTION WHEN lock_not_available OR insufficient_privilege THEN
            NULL;
        END;
    END LOOP;
END
$$;
COMMENT ON FUNCTION results.advance_sequences() IS 'move sequences that are behind their tables';
