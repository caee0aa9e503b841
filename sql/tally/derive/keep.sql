-- tally.keep: keep a view: declare it, derive what to watch, activate.
--   Parameters name: of the table to make; definition: an ordinary view; key, identity: as of tally.create_projection, the best key if none is given
--              allow_every_key: also if each change of some source costs every key
--   Returns    the rows of tally.explain(name)
--   Writes     as tally.create_projection, tally.watch and tally.activate; a NOTICE for each index that is missing
--   Locks      as tally.activate: commit soon after
--   Raises     TL004, TL006, TL016, TL018 (no key), TL026 (a source costs every key), and what those raise
--   Used by    the owner of the schema
CREATE OR REPLACE FUNCTION tally.keep(name text, definition regclass, key text[] DEFAULT NULL, identity text[] DEFAULT NULL, allow_every_key boolean DEFAULT false)
RETURNS TABLE (source regclass, columns name[], expand text, reach text, reason text, index text, keys_per_row numeric, key_columns name[], declared text)
LANGUAGE plpgsql AS $$
DECLARE
    v tally.derived_view;
    d record;
    i text;
BEGIN
    IF (SELECT c.relkind FROM pg_class c WHERE c.oid = definition) IS DISTINCT FROM 'v' THEN
        PERFORM tally.fail('TL004', format('%s is not a view, so it cannot define a projection.', definition));
    END IF;
    IF key IS NULL THEN
        SELECT p.key::text[] INTO key FROM tally.propose_keys(definition) p LIMIT 1;
        IF key IS NULL THEN
            PERFORM tally.fail('TL018', format('%s has no primary key and no GROUP BY column that could be its key: name its key columns.', definition));
        END IF;
    END IF;
    PERFORM tally.create_projection(name, definition, key, identity);
    v := tally.lookup(name);
    FOR d IN SELECT x.*, c.relkind FROM tally.derive(definition, v.key, tally.part(v)) x JOIN pg_class c ON c.oid = x.source LOOP
        IF d.relkind NOT IN ('r', 'p') THEN
            PERFORM tally.fail('TL016', format('%s reads %s, which is no ordinary table, so triggers cannot watch it.', definition, d.source));
        ELSIF d.reach = 'every key' AND NOT allow_every_key THEN
            PERFORM tally.fail('TL026', format('Each change of %s would cost every key of %s: %s', d.source, tally.part(v), tally.reason(d.source, v.key, d.reach, d.why, d.ways, d.shape)));
        END IF;
        PERFORM tally.add_derived(v, d.source, d.columns, d.expand, d.ways, d.shape);
    END LOOP;
    PERFORM tally.activate(name);
    FOR i IN SELECT DISTINCT m FROM tally.source s, tally.missing_indexes(s.wanted) m WHERE s.projection_id = v.id LOOP
        RAISE NOTICE 'An index is missing on the way to the keys of %: %', tally.part(v), i;
    END LOOP;
    RETURN QUERY SELECT * FROM tally.explain_key(v.definition, v.key, tally.part(v), v.id);
END
$$;
COMMENT ON FUNCTION tally.keep(text, regclass, text[], text[], boolean) IS 'keep a view: declare it, derive what to watch, activate';
