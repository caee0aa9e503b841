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
EXCEPTION WHEN insufficient_privilege THEN
    PERFORM tally.fail_denied(name, SQLERRM);
END
$$;
COMMENT ON FUNCTION tally.keep(text, regclass, text[], text[], boolean) IS 'keep a view: declare it, derive what to watch, activate';

-- tally.keep: the same, with a name as text.
CREATE OR REPLACE FUNCTION tally.keep(name text, definition text, key text[] DEFAULT NULL, identity text[] DEFAULT NULL, allow_every_key boolean DEFAULT false)
RETURNS TABLE (source regclass, columns name[], expand text, reach text, reason text, index text, keys_per_row numeric, key_columns name[], declared text)
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT * FROM tally.keep(name, tally.relation_given(definition, pg_catalog.current_setting('search_path')), key, identity, allow_every_key);
END
$$;

-- tally.keep_view: the same, whatever the caller's search_path.
CREATE OR REPLACE FUNCTION tally.keep_view(name text, definition regclass, key text[], identity text[], allow_every_key boolean)
RETURNS TABLE (source regclass, columns name[], expand text, reach text, reason text, index text, keys_per_row numeric, key_columns name[], declared text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    v tally.derived_view;
    i text;
    message text;
    hint    text;
BEGIN
    IF (SELECT c.relkind FROM pg_class c WHERE c.oid = definition) IS DISTINCT FROM 'v' THEN
        PERFORM tally.no_view(definition);
    END IF;
    PERFORM tally.require_list(key, 'key');
    PERFORM tally.require_columns(definition, key) WHERE key IS NOT NULL;
    PERFORM tally.require_rights(definition);
    PERFORM tally.require_runnable(definition);
    -- so that no column gets another name between the look at the definition and the triggers
    PERFORM tally.lock_tables(ARRAY(SELECT t FROM tally.tables_read(definition) t JOIN pg_class c ON c.oid = t AND c.relkind IN ('r', 'p') WHERE has_table_privilege(t, 'SELECT')), 'ACCESS SHARE');
    BEGIN
        IF key IS NULL AND tally.keep_split(name, definition, allow_every_key) THEN
            v := tally.lookup_root(name);
        ELSE
            PERFORM tally.keep_by_key(name, definition, key, identity, allow_every_key);
            v := tally.lookup(name);
        END IF;
    EXCEPTION WHEN SQLSTATE 'TL008' THEN
        GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
        PERFORM tally.fail_undeclared(message, hint, name, definition, key);
    END;
    FOR i IN SELECT DISTINCT m FROM tally.source s, tally.missing_indexes(s.wanted) m WHERE s.projection_id = v.id LOOP
        RAISE NOTICE 'An index is missing on the way to the keys of %: %', tally.part(v), i;
    END LOOP;
    RETURN QUERY SELECT * FROM tally.explain_key(v.definition, v.key, tally.part(v), v.id);
END
$$;

-- tally.require_rights: raise TL018 unless the caller may read a view and owns the tables below it, as he must to put triggers on them.
CREATE OR REPLACE FUNCTION tally.require_rights(definition regclass)
RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    t record;
BEGIN
    PERFORM tally.require_schema(definition);
    IF NOT has_any_column_privilege(definition, 'SELECT') THEN
        PERFORM tally.fail('TL018', format('%I may not read %s.', current_user, definition), format('GRANT SELECT ON %s TO %I, or let its owner keep it.', definition, current_user));
    END IF;
    SELECT r.t AS relation, c.relowner::regrole AS owner INTO t FROM tally.tables_read(definition) r(t) JOIN pg_class c ON c.oid = r.t
    WHERE c.relkind IN ('r', 'p') AND NOT pg_has_role(c.relowner, 'USAGE') AND c.relnamespace <> 'pg_catalog'::regnamespace LIMIT 1;
    IF FOUND THEN
        PERFORM tally.fail('TL018', format('%I does not own %s, so it cannot have triggers put on it.', current_user, t.relation), format('GRANT %s TO %I, or let %1$s keep %3$s.', t.owner, current_user, definition));
    END IF;
END
$$;

-- tally.fail_undeclared: raise TL008 as tally.refuse_unsafe did, about a view that is not declared then, nor split into others.
CREATE OR REPLACE FUNCTION tally.fail_undeclared(message text, hint text, name text, definition regclass, key text[])
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
BEGIN
    PERFORM tally.fail('TL008', concat(definition, substr(message, strpos(message, ' depends on more than tables'))),
        CASE WHEN hint LIKE '%tally.create_projection(%' THEN hint ELSE tally.steps_with_function(hint, name, definition, key) END);
END
$$;

-- tally.steps_with_function: a hint of tally.refuse_unsafe in which the call of tally.allow_function works although the view is not declared: with the
-- declaration around it.
CREATE OR REPLACE FUNCTION tally.steps_with_function(hint text, name text, definition regclass, key text[])
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    allowed text := (regexp_match(hint, 'tally\.allow_function\(''(?:[^'']|'''')*'', (''(?:[^'']|'''')*'')\)\.$'))[1];
BEGIN
    key := coalesce(key, (SELECT p.key::text[] FROM tally.propose_keys(definition) p LIMIT 1));
    IF allowed IS NULL OR key IS NULL THEN
        RETURN regexp_replace(hint, ' ?Or vouch for it: .*$', '');
    END IF;
    RETURN regexp_replace(hint, 'Or vouch for it: .*$', 'Or vouch for it: ') || format('SELECT tally.create_projection(%1$L, %2$L, %3$L); SELECT tally.allow_function(%1$L, %4$s); %5$sSELECT tally.activate(%1$L);',
        name, definition, key::text, allowed, (SELECT string_agg(format('SELECT tally.watch(%L, %L); ', name, t), '' ORDER BY t::text) FROM tally.tables_read(definition) t));
END
$$;

-- tally.keep_by_key: declare a projection, watch what its definition reads, activate it.
CREATE OR REPLACE FUNCTION tally.keep_by_key(name text, definition regclass, key text[], identity text[], allow_every_key boolean)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    chosen text[] := coalesce(key, (SELECT p.key::text[] FROM tally.propose_keys(definition) p LIMIT 1));
BEGIN
    IF chosen IS NULL THEN
        PERFORM tally.no_key(definition);
    END IF;
    PERFORM tally.create_projection(name, definition, chosen, coalesce(identity, tally.needed_identity(definition, chosen, key IS NULL AND tally.repeats_keys(definition))));
    PERFORM tally.keep_sources(tally.lookup(name), allow_every_key);
    PERFORM tally.activate(name);
END
$$;

-- tally.needed_identity: all columns of a view that have an order, if several of its rows have one key now, or may have. NULL: each key has one row, as far
-- as is known.
--   Parameters may_repeat: the view's shape lets keys repeat
--   Reads      up to 100,000 rows of the view, unless its query shows that each key has one row; a NOTICE if they repeat keys
--   Raises     TL018 if whole rows repeat
CREATE OR REPLACE FUNCTION tally.needed_identity(definition regclass, key text[], may_repeat boolean)
RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    every text[] := tally.columns_with_order(definition);
    twice text;
BEGIN
    IF NOT key <@ every OR EXISTS (SELECT FROM tally.tables_read(definition) r CROSS JOIN LATERAL tally.source_troubles(r))  -- which is refused later
       OR EXISTS (SELECT FROM tally.possible_keys(definition, tally.read_definition(definition)) p WHERE p.singly AND p.key::text[] <@ needed_identity.key)
       OR NOT may_repeat AND tally.repeated(definition, key) IS NULL THEN
        RETURN NULL;
    END IF;
    twice := tally.repeated(definition, every);
    IF twice IS NOT NULL THEN
        PERFORM tally.fail('TL018', format('%s has the same row more than once: (%s) = %s.', definition, tally.column_list(every::name[]), twice),
            'Add a column that tells such rows apart, the key of a table or the column that it groups by; or count them: SELECT …, count(*) … GROUP BY ….');
    END IF;
    IF NOT may_repeat THEN
        RAISE NOTICE 'Several rows of % have one key (%). All of its columns tell them apart; fewer would, if identity => ''{…}'' named them.', definition, tally.column_list(key::name[]);
    END IF;
    RETURN every;
END
$$;

-- tally.repeated: values of these columns that several rows of a view have, among its first 100,000 rows; NULL: there are none, or the view cannot be evaluated.
CREATE OR REPLACE FUNCTION tally.repeated(definition regclass, columns text[])
RETURNS text LANGUAGE plpgsql SET jit = off AS $$
DECLARE
    list text := tally.column_list(columns::name[]);
    made text;
BEGIN
    EXECUTE format('SELECT k.*::text FROM (SELECT %1$s FROM (SELECT %1$s FROM %2$s LIMIT 100000) r GROUP BY %1$s HAVING count(*) > 1 LIMIT 1) k', list, definition) INTO made;
    RETURN made;
EXCEPTION WHEN data_exception OR raise_exception THEN  -- such keys are quarantined
    RETURN NULL;
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
