-- tally.keep: keep a view: declare it, derive what to watch, activate it.
--   Parameters name: of the table to make; definition: an ordinary view; key, identity: as of tally.create_projection; the best key if NULL;
--              allow_every_key: keep it even if each change of some source makes every key pending
--   Returns    the rows of tally.explain(name)
--   Writes     as tally.create_projection, tally.watch and tally.activate; a NOTICE for each missing index
--   Locks      as tally.activate: commit soon after
--   Raises     TL004, TL006, TL016, TL018 (no key), TL026 (a source makes every key pending), and what those functions raise
--   Used by    the owner of the schema
CREATE OR REPLACE FUNCTION tally.keep(name text, definition regclass, key text[] DEFAULT NULL, identity text[] DEFAULT NULL, allow_every_key boolean DEFAULT false)
RETURNS TABLE (source regclass, columns name[], expand text, reach text, reason text, index text, keys_per_row numeric, key_columns name[], declared text)
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT * FROM tally.keep_view(tally.full_name(name, pg_catalog.current_schema()), definition, key, identity, allow_every_key);
END
$$;
COMMENT ON FUNCTION tally.keep(text, regclass, text[], text[], boolean) IS 'keep a view: declare it, derive what to watch, activate';

-- tally.keep_view: the same, whatever the caller's search_path.
CREATE OR REPLACE FUNCTION tally.keep_view(name text, definition regclass, key text[], identity text[], allow_every_key boolean)
RETURNS TABLE (source regclass, columns name[], expand text, reach text, reason text, index text, keys_per_row numeric, key_columns name[], declared text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    v tally.derived_view;
    i text;
BEGIN
    IF (SELECT c.relkind FROM pg_class c WHERE c.oid = definition) IS DISTINCT FROM 'v' THEN
        PERFORM tally.fail('TL004', format('%s is not a view, so it cannot define a projection.', definition));
    END IF;
    -- so that no column gets another name between the look at the definition and the triggers
    PERFORM tally.lock_tables(ARRAY(SELECT t FROM tally.tables_read(definition) t JOIN pg_class c ON c.oid = t AND c.relkind IN ('r', 'p') WHERE has_table_privilege(t, 'SELECT')), 'ACCESS SHARE');
    IF key IS NULL AND tally.keep_split(name, definition, allow_every_key) THEN
        v := tally.lookup_root(name);
    ELSE
        PERFORM tally.keep_by_key(name, definition, key, identity, allow_every_key);
        v := tally.lookup(name);
    END IF;
    FOR i IN SELECT DISTINCT m FROM tally.source s, tally.missing_indexes(s.wanted) m WHERE s.projection_id = v.id LOOP
        RAISE NOTICE 'An index is missing on the way to the keys of %: %', tally.part(v), i;
    END LOOP;
    RETURN QUERY SELECT * FROM tally.explain_key(v.definition, v.key, tally.part(v), v.id);
END
$$;

-- tally.keep_by_key: declare a projection, watch what its definition reads, activate it.
CREATE OR REPLACE FUNCTION tally.keep_by_key(name text, definition regclass, key text[], identity text[], allow_every_key boolean)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    singly boolean;
BEGIN
    IF key IS NULL THEN
        SELECT p.key::text[], p.singly INTO key, singly FROM tally.propose_keys(definition) p LIMIT 1;
        IF key IS NULL THEN
            PERFORM tally.no_key(definition);
        ELSIF identity IS NULL AND NOT singly AND tally.repeats_keys(definition) THEN
            identity := tally.columns_with_order(definition);
        END IF;
    END IF;
    PERFORM tally.create_projection(name, definition, key, identity);
    PERFORM tally.keep_sources(tally.lookup(name), allow_every_key);
    PERFORM tally.activate(name);
END
$$;

-- tally.keep_split: keep a view with GROUP BY by differences, if that is possible.
--   Returns   whether it is kept so; if the view groups and it is not, a NOTICE says why
CREATE OR REPLACE FUNCTION tally.keep_split(name text, definition regclass, allow_every_key boolean)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    message text;
BEGIN
    IF tally.view_tree(definition) -> 'hasAggs' ->> 0 IS DISTINCT FROM 'true' THEN
        RETURN false;
    END IF;
    PERFORM tally.split(name, definition, allow_every_key);
    RETURN true;
EXCEPTION WHEN OTHERS THEN
    message := SQLERRM;
    IF SQLSTATE NOT IN ('TL006', 'TL009', 'TL018', 'TL024', 'TL026', 'TL028', 'TL016') THEN
        RAISE;
    END IF;
    RAISE NOTICE '% It is kept by group: each change evaluates its whole group, all rows of it. EXPLAIN (ANALYZE) SELECT * FROM % WHERE … one group … tells what the largest one costs a merge; a million rows take some tenths of a second.', message, definition;
    RETURN false;
END
$$;
