-- results.resolve_taxa: find the taxon of every label, and create missing ones.
--   Reads      pg_temp.stage_classification, batch_detection; results.taxon
--   Writes     pg_temp.batch_taxon; results.taxon (rank UNKNOWN, no parent)
--   Locks      the names of new taxa, in order: a second batch with the same name waits for the first and uses its taxon
--   Notes      It searches active taxa by name, then by search name. If only an inactive taxon has the name, that one is used,
--              because names are unique.
CREATE OR REPLACE FUNCTION results.resolve_taxa()
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO pg_temp.batch_taxon (label, taxon_id)
    SELECT l.label, coalesce(
        (SELECT t.id FROM results.taxon t WHERE t.name = l.label AND t.active),
        (SELECT min(t.id) FROM results.taxon t WHERE t.search_names @> ARRAY[l.label] AND t.active),
        (SELECT t.id FROM results.taxon t WHERE t.name = l.label))
    FROM (SELECT DISTINCT c.label FROM pg_temp.stage_classification c
          WHERE EXISTS (SELECT FROM pg_temp.batch_detection b WHERE b.det = c.det)) l;

    IF EXISTS (SELECT FROM pg_temp.batch_taxon b WHERE b.taxon_id IS NULL) THEN
        INSERT INTO results.taxon (name, rank)
        SELECT b.label, 'UNKNOWN' FROM pg_temp.batch_taxon b WHERE b.taxon_id IS NULL ORDER BY b.label
        ON CONFLICT (name) DO NOTHING;
        UPDATE pg_temp.batch_taxon b SET taxon_id = t.id
        FROM results.taxon t WHERE t.name = b.label AND b.taxon_id IS NULL;
    END IF;
END
$$;
COMMENT ON FUNCTION results.resolve_taxa() IS 'find the taxon of every label, and make those that nobody knows';
