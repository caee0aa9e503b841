-- tally.copy_sources: give the replacement of a projection the same sources.
--   Writes     tally.source, tally.materialized_view, the delta table, the functions that expand. An expand that reads the stored rows of
--              the old projection or its rollups reads those of the replacement instead. Derived sources are derived again from the new
--              definition, which may read other tables
--   Raises     TL010
CREATE OR REPLACE FUNCTION tally.copy_sources(v tally.derived_view, next tally.derived_view)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    s   tally.source;
    col name;
BEGIN
    FOR s IN SELECT * FROM tally.source x WHERE x.projection_id = v.id ORDER BY x.ordinal LOOP
        CONTINUE WHEN s.derived;
        INSERT INTO tally.source (projection_id, ordinal, relation, columns, expand)
        VALUES (next.id, s.ordinal, s.relation, s.columns, s.expand);
        CONTINUE WHEN s.expand IS NULL;
        FOREACH col IN ARRAY s.columns LOOP
            EXECUTE format('ALTER TABLE %s ADD COLUMN %I %s', tally.part(next, '_delta'), tally.logged_column(s.ordinal, col),
                tally.bare_type(s.relation, col) || tally.sql_collate(s.relation, col));
        END LOOP;
        PERFORM tally.copy_expand(v, next, s);
    END LOOP;
    PERFORM tally.note_materialized(next.id, 'static', tally.materialized_now(m)) FROM tally.materialized_view m WHERE m.view_id = v.id AND m.role = 'static';
    IF EXISTS (SELECT FROM tally.source x WHERE x.projection_id = v.id AND x.derived) THEN
        PERFORM tally.derive_sources(next);
    END IF;
END
$$;

-- tally.copy_expand: make <next>_expand_<n> from the existing function, whose body the catalog prints.
CREATE OR REPLACE FUNCTION tally.copy_expand(v tally.derived_view, next tally.derived_view, s tally.source)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on SET quote_all_identifiers = off AS $$
DECLARE
    types text := tally.given_list(s, NULL);
    made  text := format('%s(%s)', tally.part(next, '_expand_' || s.ordinal), types);
    body  text := pg_get_function_sqlbody(format('%s(%s)', tally.part(v, '_expand_' || s.ordinal), types)::regprocedure);
    literal text := regexp_replace(tally.part(v), '([.?*+^$[\](){}|\\])', '\\\1', 'g');
BEGIN
    -- A column of a table without an alias is qualified by the table's name, so that name becomes the alias.
    body := regexp_replace(body, '(?<![\w."])' || literal || '(?![\w".])(?! [a-z_"])', format('%s %I', tally.part(next), v.relation_name), 'g');
    body := regexp_replace(body, '(?<![\w."])' || literal || '(?= [a-z_"])', tally.part(next), 'g');
    body := replace(body, format('%I.tally_changed_', v.relation_name || '_expand_' || s.ordinal), 'tally_changed_');
    EXECUTE format('CREATE FUNCTION %s(%s) RETURNS TABLE (%s) LANGUAGE sql STABLE %s', tally.part(next, '_expand_' || s.ordinal),
        tally.given_list(s, tally.numbered(s.columns, 'tally_changed_')), tally.plain_list(v.definition, v.key), body);
    EXECUTE format('COMMENT ON FUNCTION %s IS %L', made, format('%s: from changed rows of %s to the keys they touch', tally.part(next), s.relation));
    IF EXISTS (SELECT FROM pg_depend d JOIN tally.derived_view x ON v.id IN (x.id, x.root_id)
               WHERE d.classid = 'pg_proc'::regclass AND d.objid = made::regprocedure AND d.refobjid = to_regclass(tally.part(x))) THEN
        PERFORM tally.fail('TL010', format('expand of %s for %s reads what the old definition stores.', s.relation, tally.part(v)));
    END IF;
EXCEPTION WHEN syntax_error_or_access_rule_violation THEN
    PERFORM tally.fail('TL010', format('expand of %s cannot be carried over to %s: %s.', s.relation, tally.part(next), SQLERRM));
END
$$;

-- tally.renew_expands: make the functions that expand again whose parameters have another type now. Engines up to 2026-11 gave them arrays of domains.
CREATE OR REPLACE FUNCTION tally.renew_expands(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on SET quote_all_identifiers = off AS $$
DECLARE
    s    tally.source;
    old  regprocedure;
    body text;
BEGIN
    FOR s IN SELECT * FROM tally.source x WHERE x.projection_id = v.id AND x.expand IS NOT NULL ORDER BY x.ordinal LOOP
        SELECT p.oid INTO old FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname = v.schema_name AND p.proname = v.relation_name || '_expand_' || s.ordinal AND p.prosqlbody IS NOT NULL;
        CONTINUE WHEN old = to_regprocedure(format('%s(%s)', tally.part(v, '_expand_' || s.ordinal), tally.given_list(s, NULL)));
        body := replace(pg_get_function_sqlbody(old), format('%I.tally_changed_', v.relation_name || '_expand_' || s.ordinal), 'tally_changed_');
        EXECUTE format('DROP FUNCTION %s', old);
        EXECUTE format('CREATE FUNCTION %s(%s) RETURNS TABLE (%s) LANGUAGE sql STABLE %s', tally.part(v, '_expand_' || s.ordinal),
            tally.given_list(s, tally.numbered(s.columns, 'tally_changed_')), tally.plain_list(v.definition, v.key), body);
        PERFORM tally.comment_expand(v, s);
    END LOOP;
END
$$;

-- tally.follow_rollups: give a replacement exactly the rollups that the projection has now.
--   Returns   whether a rollup was added or dropped
CREATE OR REPLACE FUNCTION tally.follow_rollups(v tally.derived_view, next tally.derived_view)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    r    tally.derived_view;
    made tally.derived_view;
    new  boolean := false;
BEGIN
    IF NOT tally.is_declarer(v) AND EXISTS (  -- otherwise the declarer's code would run with the rights of the role that merges
        SELECT FROM tally.derived_view d WHERE d.root_id = next.id AND d.serves_id IS NULL AND d.replaces_id IS NULL
        UNION ALL SELECT FROM tally.rollups_above(v.id) a WHERE a.serves_id IS NULL AND (tally.replacement_of(a.id)).id IS NULL) THEN
        PERFORM tally.fail('TL005', format('The rollups of %s are made again with the rights of its owner, and %s does not have them.', tally.part(v), current_user), 'Its owner has to call tally.redefine.');
    END IF;
    FOR r IN SELECT * FROM tally.derived_view d WHERE d.root_id = next.id AND d.serves_id IS NULL AND d.replaces_id IS NULL ORDER BY d.id DESC LOOP
        PERFORM tally.drop(tally.part(r));  -- its counterpart is gone
        new := true;
    END LOOP;
    FOR r IN SELECT * FROM tally.rollups_above(v.id) a WHERE a.serves_id IS NULL AND (tally.replacement_of(a.id)).id IS NULL LOOP
        PERFORM tally.create_rollup(tally.next_name(r), tally.part(tally.replacement_of(r.source_id)), r.group_by::text[], (
            SELECT coalesce(jsonb_agg(jsonb_build_object('name', m.name, 'measure', CASE m.function WHEN 'count(*)' THEN m.function  -- an array: in this order
                                                         WHEN 'count_distinct' THEN format('count(distinct %I)', m.argument)
                                                         ELSE format('%s(%I)', m.function, m.argument) END) ORDER BY m.position), '[]')
            FROM tally.measures_of(r) m), r.filter);
        made := tally.lookup(tally.next_name(r));
        UPDATE tally.derived_view d SET replaces_id = r.id WHERE d.id = made.id;
        new := true;
    END LOOP;
    RETURN new;
END
$$;

-- tally.index_body: an index's definition from USING on, that is without its name and its table.
CREATE OR REPLACE FUNCTION tally.index_body(index regclass)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT substr(d, strpos(d, ' USING ')) FROM pg_get_indexdef(index) d
$$;

-- tally.indexes_of: the indexes of a table, with their names and bodies. nth numbers the indexes that have the same body.
CREATE OR REPLACE FUNCTION tally.indexes_of(relation regclass)
RETURNS TABLE (index regclass, name name, body text, nth bigint) LANGUAGE sql STABLE AS $$
    SELECT x.indexrelid::regclass, c.relname, b.body, row_number() OVER (PARTITION BY b.body ORDER BY c.relname)
    FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid CROSS JOIN LATERAL (SELECT x.indisunique || tally.index_body(x.indexrelid::regclass) AS body) b
    WHERE x.indrelid = relation AND c.relname !~ '^tally_\d+_'
$$;

-- tally.copy_indexes: create the users' indexes of a projection and its rollups on their replacements too. An index on a column that
-- the replacement lacks is left out, with a notice.
CREATE OR REPLACE FUNCTION tally.copy_indexes(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    i record;
BEGIN
    FOR i IN SELECT c.relname, x.indisunique, tally.index_body(x.indexrelid::regclass) AS body, tally.part(tally.replacement_of(d.id)) AS target
             FROM tally.derived_view d JOIN pg_index x ON x.indrelid = to_regclass(tally.part(d)) JOIN pg_class c ON c.oid = x.indexrelid
             WHERE v.id IN (d.id, d.root_id) AND d.serves_id IS NULL AND c.relname !~ '^tally_\d+_' LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_index x WHERE x.indrelid = i.target::regclass  -- the engine makes one on a rollup's groups
                              AND tally.index_body(x.indexrelid::regclass) = i.body AND x.indisunique = i.indisunique);
        BEGIN
            EXECUTE format('CREATE %sINDEX %I ON %s%s', CASE WHEN i.indisunique THEN 'UNIQUE ' END, tally.cut_name(i.relname, 58) || '_next', i.target,
                i.body);
        EXCEPTION WHEN undefined_column THEN
            RAISE NOTICE 'Index % is left out: %.', i.relname, SQLERRM;
        END;
    END LOOP;
END
$$;
