-- tally.create_projection: declare a stored table that is kept equal to a view, key by key.
--   Parameters name       schema.name of the table to make
--              definition the view that defines it, also called the oracle
--              key        the columns that identify what changed; a delta row names one key
--              identity   the columns that make a row unique; key columns that are missing are added
--   Writes     the table with a unique index on the identity, the delta table; tally.derived_view
--   Raises     TL002, TL003, TL004, TL006, TL024
--   Used by    the owner of the schema, once; then tally.watch … and tally.activate
CREATE OR REPLACE FUNCTION tally.create_projection(name text, definition regclass, key text[], identity text[] DEFAULT NULL)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tally.declare_projection(tally.full_name(name, pg_catalog.current_schema()), definition, key, identity);
EXCEPTION WHEN insufficient_privilege THEN
    PERFORM tally.fail_denied(name, SQLERRM);
END
$$;
COMMENT ON FUNCTION tally.create_projection(text, regclass, text[], text[]) IS
    'declare a stored table kept equal to the view "definition", key by key';

-- tally.create_projection: the same, with a name as text.
CREATE OR REPLACE FUNCTION tally.create_projection(name text, definition text, key text[], identity text[] DEFAULT NULL)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tally.create_projection(name, tally.relation_given(definition, pg_catalog.current_setting('search_path')), key, identity);
END
$$;

-- tally.declare_projection: the same, whatever the caller's search_path.
CREATE OR REPLACE FUNCTION tally.declare_projection(name text, definition regclass, key text[], identity text[])
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    parts name[] := tally.split_name(name);
    ident name[];
    v     tally.derived_view;
BEGIN
    IF (SELECT relkind FROM pg_class WHERE oid = definition) IS DISTINCT FROM 'v' THEN
        PERFORM tally.fail('TL004', format('%s is not a view, so it cannot define a projection.', coalesce(definition::text, 'NULL')));
    END IF;
    PERFORM tally.require_schema(definition);
    PERFORM tally.require_list(key, 'key'), tally.require_list(coalesce(identity, key), 'identity');
    PERFORM tally.require_own_name(c) FROM unnest(tally.columns_of(definition)) c;
    PERFORM tally.require_columns(definition, key);
    PERFORM tally.require_columns(definition, coalesce(identity, key));
    PERFORM tally.require_free(parts, '{"",_live,_delta,_change,_identity}');
    ident := key || ARRAY(SELECT i FROM unnest(identity) i WHERE i <> ALL (key));
    PERFORM tally.require_scalar(definition, key, 'part of a key');
    PERFORM tally.require_ordered(definition, ident, 'part of a key or an identity');
    INSERT INTO tally.derived_view (schema_name, relation_name, kind, definition, key, identity)
    VALUES (parts[1], parts[2], 'projection', definition, key, ident) RETURNING * INTO v;
    INSERT INTO tally.merge_state (view_id) VALUES (v.id);

    EXECUTE format('CREATE TABLE %s AS TABLE %s WITH NO DATA', tally.part(v), definition);
    PERFORM tally.allow_nulls(tally.part(v)::regclass);
    EXECUTE format('CREATE UNIQUE INDEX ON %s (%s) NULLS NOT DISTINCT', tally.part(v), tally.column_list(ident));
    EXECUTE format('CREATE TYPE %s AS (%s)', tally.part(v, '_identity'), tally.column_definitions(definition, ident));
    EXECUTE format('CREATE TABLE %s (tally_xid xid8 NOT NULL DEFAULT pg_current_xact_id(), '
                || 'tally_at timestamptz NOT NULL DEFAULT clock_timestamp(), tally_source smallint NOT NULL DEFAULT 0, %s, tally_upto xid8, %s) '
                || 'WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, '
                || 'autovacuum_vacuum_insert_threshold = -1, autovacuum_analyze_threshold = 1000000000)',
        tally.part(v, '_delta'), tally.plain_definitions(definition, key::name[]),
        tally.plain_definitions(definition, key::name[], '[]', tally.numbered(key::name[])));
    -- not compressed: that would take a writer longer than all else that its trigger does
    EXECUTE format('ALTER TABLE %s %s', tally.part(v, '_delta'),
        (SELECT string_agg(format('ALTER COLUMN %I SET STORAGE EXTERNAL', c), ', ' ORDER BY n) FROM unnest(tally.numbered(key::name[])) WITH ORDINALITY u(c, n)));
    EXECUTE format('CREATE INDEX ON %s (tally_xid)', tally.part(v, '_delta'));
    EXECUTE format('CREATE INDEX ON %s (tally_source, tally_xid) WHERE tally_source < 0', tally.part(v, '_delta'));
    PERFORM tally.comment_projection(v);
EXCEPTION WHEN too_many_columns THEN
    PERFORM tally.fail('TL018', format('Key and identity of %s are %s columns, which is too many: %s.', definition, cardinality(ident), SQLERRM),
        'Name the columns that tell rows apart, 32 at most: key => ''{…}'', identity => ''{…}''. Or give the view a column with a digest of them.');
END
$$;

-- tally.require_list: raise TL018 unless an argument is a plain list of different names.
--   Parameters what: the argument, as the message says it
CREATE OR REPLACE FUNCTION tally.require_list(columns text[], what text)
RETURNS void LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
BEGIN
    IF array_ndims(columns) > 1 OR array_position(columns, NULL) IS NOT NULL OR cardinality(columns) <> (SELECT count(DISTINCT c) FROM unnest(columns) c) THEN
        PERFORM tally.fail('TL018', format('%s is %s; it must be a list of different columns.', what, columns), 'Name each column once: ''{id}'' or ''{event_id,taxon_id}'', say.');
    END IF;
END
$$;

-- tally.comment_projection: put comments on a projection's table, delta table and type. The rows of the delta table, by
-- tally_source: 0: a row names one key, in the key's columns
--               n: a row of source n changed; its watched columns are in s<n>_…, and the merge expands them into keys
--              -1: every key after this one (NULL: every key): TRUNCATE, the first fill, rebuild
--              -2: a part of a wide change: keys in arrays (tally_keys_1 …), logged by transactions from tally_xid to tally_upto
CREATE OR REPLACE FUNCTION tally.comment_projection(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
BEGIN
    IF tally.is_own_comment(obj_description(tally.relation_of(v), 'pg_class')) THEN
        EXECUTE format('COMMENT ON TABLE %s IS %L', tally.part(v),
            format('kept equal to %s, key by key (%s); exact now: %s', v.definition, tally.column_list(v.key), tally.part(v, '_live')));
    END IF;
    EXECUTE format('COMMENT ON TABLE %s IS %L', tally.part(v, '_delta'),
        format('changed keys of %s: appended by triggers, consumed by tally.merge', tally.part(v)));
    EXECUTE format('COMMENT ON COLUMN %s.tally_source IS %L', tally.part(v, '_delta'),
        '0: one key; n: changed row of source n; -1: every key after this one; -2: part of a wide change, keys in arrays');
    EXECUTE format('COMMENT ON COLUMN %s.tally_upto IS %L', tally.part(v, '_delta'), 'the youngest writer that a row stands for, if not tally_xid alone');
    EXECUTE format('COMMENT ON TYPE %s IS %L', tally.part(v, '_identity'), 'what makes a row of ' || tally.part(v) || ' unique');
END
$$;
