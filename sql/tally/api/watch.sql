-- tally.watch: declare a source: which columns of a table tell what changed in a projection.
--   Parameters projection, source; columns: of the source; every write logs their old and new values; null: columns and expand are derived
--              expand: a query over the relation "changed" (these columns) that returns keys; null: the columns are the key
--   Writes     tally.source; columns for the logged values in the delta table; the function that runs expand
--   Raises     TL004, TL005, TL006, TL010, TL016, TL018
--   Locks      if the projection is already active (before a redefinition that will read the source): SHARE ROW EXCLUSIVE on all of
--              its sources until the transaction ends
--   Used by    the owner of the schema, before tally.activate, or before tally.redefine
CREATE OR REPLACE FUNCTION tally.watch(projection text, source regclass, columns text[] DEFAULT NULL, expand text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tally.watch_source(tally.called(projection, pg_catalog.current_schemas(true)), source, columns, expand, pg_catalog.current_setting('search_path'));
EXCEPTION WHEN insufficient_privilege THEN
    PERFORM tally.fail_denied(projection, SQLERRM);
END
$$;
COMMENT ON FUNCTION tally.watch(text, regclass, text[], text) IS
    'say which columns of a source tell what changed, and how they lead to keys';

-- tally.watch: the same, with a name as text.
CREATE OR REPLACE FUNCTION tally.watch(projection text, source text, columns text[] DEFAULT NULL, expand text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tally.watch(projection, tally.relation_given(source, pg_catalog.current_setting('search_path')), columns, expand);
END
$$;

-- tally.watch_source: the same, whatever the caller's search_path (path), with which an expand is parsed.
CREATE OR REPLACE FUNCTION tally.watch_source(projection text, source regclass, columns text[], expand text, path text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    v   tally.derived_view := tally.lookup(projection);
BEGIN
    PERFORM tally.require_declaring(v);
    PERFORM tally.require_source(source);
    PERFORM tally.require_new_source(v, source);
    IF columns IS NULL THEN
        PERFORM tally.watch_derived(v, source, expand);
    ELSE
        PERFORM tally.require_list(columns, 'columns');
        PERFORM tally.require_columns(source, columns);
        PERFORM tally.require_seen(source, columns);
        PERFORM tally.add_source(v, source, columns::name[], tally.without_changed(expand, source, columns::name[]), false, path);
    END IF;
END
$$;

-- tally.add_source: store a source, add the columns for its logged values, and make the function that runs its expand.
--   Parameters derived: columns and expand come from tally.derive; path: the search_path that expand is parsed with
--   Writes     as tally.watch
CREATE OR REPLACE FUNCTION tally.add_source(v tally.derived_view, source regclass, columns name[], expand text, derived boolean, path text)
RETURNS tally.source LANGUAGE plpgsql AS $$
DECLARE
    s   tally.source;
    col name;
BEGIN
    INSERT INTO tally.source (projection_id, ordinal, relation, columns, expand, derived)
    SELECT v.id, coalesce(max(x.ordinal), 0) + 1, source, add_source.columns, add_source.expand, add_source.derived FROM tally.source x WHERE x.projection_id = v.id
    RETURNING * INTO s;
    IF v.state <> 'defined' THEN
        PERFORM tally.lock_sources(v);
        PERFORM tally.require_watched_columns(v, x) FROM tally.source x WHERE x.projection_id = v.id AND x.columns IS NOT NULL;
    END IF;
    IF expand IS NULL THEN
        PERFORM tally.require_keys(v, s, path);
    ELSE
        PERFORM tally.require_scalar(source, columns, 'watched with an expand');
        FOREACH col IN ARRAY columns LOOP
            EXECUTE format('ALTER TABLE %s ADD COLUMN %I %s',
                tally.part(v, '_delta'), tally.logged_column(s.ordinal, col), tally.bare_type(source, col) || tally.sql_collate(source, col));
        END LOOP;
        PERFORM tally.generate_expand(v, s.ordinal, path);
        PERFORM tally.refuse_unsafe_expand(v, s);
    END IF;
    IF v.state <> 'defined' THEN
        PERFORM tally.drop_generated(v);  -- generated functions get an argument for the new source
        PERFORM tally.generate(v);
        PERFORM tally.install_triggers(v, v.definition);
        UPDATE tally.merge_state m SET retry_at = NULL WHERE m.view_id = v.id;  -- merges may have stopped because of this table
    END IF;
    RETURN s;
END
$$;

-- tally.without_changed: an expand without the CTE "changed" over all rows of the source, which tally.explain puts in front of it.
CREATE OR REPLACE FUNCTION tally.without_changed(expand text, source regclass, columns name[])
RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    own text := format('WITH changed AS (SELECT %s FROM %s)', tally.column_list(columns), source);
BEGIN
    RETURN CASE WHEN starts_with(ltrim(expand, E' \n\t'), own) THEN ltrim(substr(ltrim(expand, E' \n\t'), length(own) + 1), E' \n\t') ELSE expand END;
END
$$;

-- tally.logged_column: the column of the delta table that holds a watched column of a source with an expand.
CREATE OR REPLACE FUNCTION tally.logged_column(ordinal integer, col name)
RETURNS name LANGUAGE sql IMMUTABLE AS $$
    SELECT tally.cut_name('s' || ordinal || '_' || col, 63)::name
$$;

-- tally.require_declaring: raise unless v is a projection whose sources can be declared. Those of a replacement during a redefinition
-- cannot.
CREATE OR REPLACE FUNCTION tally.require_declaring(v tally.derived_view)
RETURNS void LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF v.kind <> 'projection' THEN
        PERFORM tally.fail('TL004', format('%s is a %s; only a projection watches sources.', tally.part(v), v.kind));
    END IF;
    IF v.replaces_id IS NOT NULL THEN
        PERFORM tally.fail('TL005', format('%s takes the place of another view, with that one''s sources.', tally.part(v)));
    END IF;
END
$$;

-- tally.require_new_source: raise if a projection has this source already.
CREATE OR REPLACE FUNCTION tally.require_new_source(v tally.derived_view, source regclass)
RETURNS void LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF tally.is_source(v.id, source) THEN
        PERFORM tally.fail('TL018', format('%s has %s among its sources already; one expand may return the keys of all its columns.', tally.part(v), source));
    END IF;
END
$$;

-- tally.assume_static: declare that a table or materialized view which a projection reads never changes. The engine trusts this.
--   Writes     tally.source, tally.materialized_view
CREATE OR REPLACE FUNCTION tally.assume_static(projection text, source regclass)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tally.assume_static_by_name(tally.called(projection, pg_catalog.current_schemas(true)), source);
EXCEPTION WHEN insufficient_privilege THEN
    PERFORM tally.fail_denied(projection, SQLERRM);
END
$$;
COMMENT ON FUNCTION tally.assume_static(text, regclass) IS 'vouch that a table which a projection reads never changes';

-- tally.assume_static: the same, with a name as text.
CREATE OR REPLACE FUNCTION tally.assume_static(projection text, source text)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tally.assume_static(projection, tally.relation_given(source, pg_catalog.current_setting('search_path')));
END
$$;

-- tally.assume_static_by_name: the same, whatever the caller's search_path.
CREATE OR REPLACE FUNCTION tally.assume_static_by_name(projection text, source regclass)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    v tally.derived_view := tally.lookup(projection);
BEGIN
    PERFORM tally.require_declaring(v);
    IF source IS NULL THEN
        PERFORM tally.fail('TL018', format('No table was named that never changes and that %s reads.', tally.part(v)), 'Name a table that the definition reads.');
    END IF;
    PERFORM tally.require_new_source(v, source);
    IF (SELECT c.relkind FROM pg_class c WHERE c.oid = source) = 'm' THEN
        PERFORM tally.note_materialized(v.id, 'static', source);
    ELSE
        INSERT INTO tally.source (projection_id, ordinal, relation)
        SELECT v.id, coalesce(max(s.ordinal), 0) + 1, source FROM tally.source s WHERE s.projection_id = v.id;
    END IF;
    UPDATE tally.merge_state m SET retry_at = NULL WHERE m.view_id = v.id;
END
$$;

-- tally.allow_function: let a definition call a volatile function, or a stable function made by a user.
--   Writes     tally.derived_view
CREATE OR REPLACE FUNCTION tally.allow_function(projection text, function regprocedure)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tally.allow_function_by_name(tally.called(projection, pg_catalog.current_schemas(true)), function);
EXCEPTION WHEN insufficient_privilege THEN
    PERFORM tally.fail_denied(projection, SQLERRM);
END
$$;
COMMENT ON FUNCTION tally.allow_function(text, regprocedure) IS 'vouch that a function called by a definition hides no table and no clock';

-- tally.allow_function: the same, with a name as text.
CREATE OR REPLACE FUNCTION tally.allow_function(projection text, function text)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tally.allow_function(projection, tally.function_given(function, pg_catalog.current_setting('search_path')));
END
$$;

-- tally.allow_function_by_name: the same, whatever the caller's search_path.
CREATE OR REPLACE FUNCTION tally.allow_function_by_name(projection text, function regprocedure)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    v tally.derived_view := tally.lookup(projection);
BEGIN
    IF function IS NULL THEN
        PERFORM tally.fail('TL018', format('No function was named that the definition of %s may call.', tally.part(v)), 'Give its name and the types of its arguments: ''app.rate(integer)'', say.');
    END IF;
    UPDATE tally.derived_view d SET allowed = allowed || tally.signature_of(function) WHERE d.id = v.id;
    UPDATE tally.merge_state m SET retry_at = NULL WHERE m.view_id = v.id;
END
$$;
