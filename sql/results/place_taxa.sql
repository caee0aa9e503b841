-- results.place_taxa: update ancestor_ids of taxa and of all taxa below them.
--   Parameters moved: taxa whose parent_id is new
--   Reads      results.taxon (only parent_id: ancestor_ids of others may be out of date in the same statement)
--   Writes     results.taxon.ancestor_ids where it differs; results.taxon_tree
--   Locks      the row of results.taxon_tree, so that one move runs at a time
--   Raises     RS020
--   Notes      Plans are kept for the session, while an import makes many taxa of a few. So every look-up is by index: OFFSET 0
--              keeps a look-up from becoming a join, and what is left to join must not be a loop over all pairs.
CREATE OR REPLACE FUNCTION results.place_taxa(moved bigint[])
RETURNS void LANGUAGE plpgsql
SET enable_seqscan = off SET enable_nestloop = off SET jit = off AS $$
DECLARE
    culprit text;
BEGIN
    -- once per transaction: a second update would have to step over the row that the first one has left behind
    UPDATE results.taxon_tree SET moves = moves + 1 WHERE xmin <> pg_current_xact_id()::xid;

    WITH RECURSIVE up (taxon_id, id) AS (
        SELECT m.id, p.parent_id
        FROM (SELECT DISTINCT unnest(moved)) AS m (id)
        CROSS JOIN LATERAL (SELECT t.parent_id FROM results.taxon t WHERE t.id = m.id OFFSET 0) p
        WHERE p.parent_id IS NOT NULL
        UNION   -- UNION ends the recursion in a cycle too, because rows repeat
        SELECT up.taxon_id, p.parent_id
        FROM up CROSS JOIN LATERAL (SELECT t.parent_id FROM results.taxon t WHERE t.id = up.id OFFSET 0) p
        WHERE p.parent_id IS NOT NULL
    )
    SELECT (SELECT t.name FROM results.taxon t WHERE t.id = up.taxon_id) INTO culprit
    FROM up WHERE up.id = up.taxon_id ORDER BY up.taxon_id LIMIT 1;
    IF culprit IS NOT NULL THEN
        PERFORM results.fail('RS020', format('Taxon %L would be among its own ancestors.', culprit));
    END IF;

    WITH RECURSIVE up (taxon_id, id, height) AS (
        SELECT m.id, p.parent_id, 1
        FROM (SELECT DISTINCT unnest(moved)) AS m (id)
        CROSS JOIN LATERAL (SELECT t.parent_id FROM results.taxon t WHERE t.id = m.id OFFSET 0) p
        UNION ALL
        SELECT up.taxon_id, p.parent_id, up.height + 1
        FROM up CROSS JOIN LATERAL (SELECT t.parent_id FROM results.taxon t WHERE t.id = up.id OFFSET 0) p
    ), top AS (   -- a taxon below another moved one is reached by the recursion down from that
        SELECT up.taxon_id AS id, coalesce(array_agg(up.id ORDER BY up.height DESC) FILTER (WHERE up.id IS NOT NULL), '{}') AS ancestors
        FROM up LEFT JOIN unnest(moved) AS m (id) USING (id)
        GROUP BY up.taxon_id HAVING count(m.id) = 0
    ), down (id, ancestors) AS (
        SELECT top.id, top.ancestors FROM top
        UNION ALL
        SELECT c.id, down.ancestors || down.id
        FROM down CROSS JOIN LATERAL (SELECT t.id FROM results.taxon t WHERE t.parent_id = down.id OFFSET 0) c
    ), misplaced AS MATERIALIZED (
        SELECT down.id, down.ancestors
        FROM down CROSS JOIN LATERAL (SELECT FROM results.taxon t WHERE t.id = down.id AND t.ancestor_ids <> down.ancestors OFFSET 0) t
    )
    UPDATE results.taxon t SET ancestor_ids = m.ancestors
    FROM misplaced m WHERE t.id = ANY (ARRAY(SELECT id FROM misplaced)) AND t.id = m.id AND t.ancestor_ids <> m.ancestors;
END
$$;
COMMENT ON FUNCTION results.place_taxa(bigint[]) IS 'write ancestor_ids of these taxa and of everything below them';

-- results.taxon_inserted, results.taxon_updated: statement triggers that call place_taxa for taxa with another parent.
--   Notes      A taxon without a parent, as messages create them, takes no lock. The plan that compares old and new rows may have
--              been made for one row, so it must not be a loop over all pairs.
CREATE OR REPLACE FUNCTION results.taxon_inserted()
RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    moved bigint[] := ARRAY(SELECT n.id FROM new_rows n WHERE n.parent_id IS NOT NULL OR n.ancestor_ids <> '{}');
BEGIN
    IF cardinality(moved) > 0 THEN
        PERFORM results.place_taxa(moved);
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION results.taxon_updated()
RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_nestloop = off SET jit = off AS $$
DECLARE
    moved bigint[] := ARRAY(SELECT n.id FROM new_rows n LEFT JOIN old_rows o USING (id)
                            WHERE n.parent_id IS DISTINCT FROM o.parent_id OR o.id IS NULL);
BEGIN
    IF cardinality(moved) > 0 THEN
        PERFORM results.place_taxa(moved);
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER place_inserted AFTER INSERT ON results.taxon
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION results.taxon_inserted();
CREATE OR REPLACE TRIGGER place_updated AFTER UPDATE ON results.taxon
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION results.taxon_updated();
