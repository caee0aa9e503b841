-- tally.create_snapshot: declare a materialized view that is refreshed only when a table that it reads has changed.
--   Parameters name: an existing materialized view with a unique index on plain columns, without WHERE
--   Writes     <name>_delta, to which a writer appends one row a statement; tally.derived_view, tally.materialized_view, tally.source
--              (the tables that the catalog says it reads)
--   Raises     TL002, TL004, TL014, TL016
--   Used by    the owner of the schema, once; then tally.activate
CREATE OR REPLACE FUNCTION tally.create_snapshot(name regclass)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    parts name[];
    v     tally.derived_view;
    t     record;
BEGIN
    SELECT ARRAY[n.nspname, c.relname] INTO parts FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = name AND c.relkind = 'm';
    IF NOT FOUND THEN
        PERFORM tally.fail('TL004', format('%s is not a materialized view, so it cannot be a snapshot.', coalesce(name::text, 'NULL')));
    END IF;
    PERFORM tally.require_schema(name);
    PERFORM tally.require_free(parts, '{_delta}');
    PERFORM tally.require_full_unique_index(name);
    INSERT INTO tally.derived_view (schema_name, relation_name, kind) VALUES (parts[1], parts[2], 'snapshot') RETURNING * INTO v;
    PERFORM tally.note_materialized(v.id, 'snapshot', name);
    INSERT INTO tally.merge_state (view_id) VALUES (v.id);
    FOR t IN SELECT r AS relation, c.relkind, row_number() OVER (ORDER BY r::text) AS n FROM tally.tables_read(name) r JOIN pg_class c ON c.oid = r WHERE r <> name LOOP
        PERFORM tally.require_source(t.relation);
        INSERT INTO tally.source (projection_id, ordinal, relation, columns) VALUES (v.id, t.n, t.relation, '{}');
    END LOOP;
    EXECUTE format('CREATE TABLE %s (tally_xid xid8 NOT NULL DEFAULT pg_current_xact_id(), tally_at timestamptz NOT NULL DEFAULT clock_timestamp(), tally_source smallint NOT NULL DEFAULT 0) '
                || 'WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000)', tally.part(v, '_delta'));
    EXECUTE format('CREATE INDEX ON %s (tally_xid)', tally.part(v, '_delta'));
    PERFORM tally.identify_rows(tally.relation_of(v, '_delta'));
    EXECUTE format('COMMENT ON TABLE %s IS %L', tally.part(v, '_delta'), format('statements that changed what %s reads, since its last refresh', name));
EXCEPTION WHEN insufficient_privilege THEN
    PERFORM tally.fail_denied(name::text, SQLERRM);
END
$$;
COMMENT ON FUNCTION tally.create_snapshot(regclass) IS 'declare a materialized view that is refreshed only when a table that it reads has changed';

-- tally.create_snapshot: the same, with a name as text.
CREATE OR REPLACE FUNCTION tally.create_snapshot(name text)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tally.create_snapshot(tally.relation_given(name, pg_catalog.current_setting('search_path')));
END
$$;

-- tally.require_full_unique_index: raise TL014 unless REFRESH … CONCURRENTLY can work.
CREATE OR REPLACE FUNCTION tally.require_full_unique_index(name regclass)
RETURNS void LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = name AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL) THEN
        PERFORM tally.fail('TL014', format('%s has no unique index that covers every row.', name));
    END IF;
END
$$;
