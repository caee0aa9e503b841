-- tally.write_back: keep columns of the application's own table equal to kept values.
--   Parameters name: a projection with one row a key, or a rollup; target: the application's table; columns: {"column of the target": "column of the view"},
--              {} ends it; key: {"key column of the view": "column of the target"}; NULL: columns of the same name, or the target's primary key
--   Writes     tally.write_back; a trigger on the kept table that stores the keys which merges change. Then tally.merge writes their values to the
--              target in separate transactions, and only where they differ. A row is locked only for its update; if another session holds it, it
--              is written later
--   Locks      SHARE ROW EXCLUSIVE on the kept table, until the transaction ends
--   Raises     TL001, TL004, TL006, TL016, TL018 (a type that does not fit, a column that another view is written to, a loop)
--   Notes      A row whose key is no longer kept gets NULL, or 0 in a column that is NOT NULL and numeric
--   Used by    the owner of the schema, who may UPDATE the target
CREATE OR REPLACE FUNCTION tally.write_back(name text, target regclass, columns jsonb, key jsonb DEFAULT NULL)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tally.write_back_by_name(tally.called(name, pg_catalog.current_schemas(true)), target, columns, key);
EXCEPTION WHEN insufficient_privilege THEN
    PERFORM tally.fail_denied(name, SQLERRM);
END
$$;
COMMENT ON FUNCTION tally.write_back(text, regclass, jsonb, jsonb) IS 'keep columns of the application''s own table equal to kept values: {"detections_count":"detections"}';

-- tally.write_back: the same, with a name as text.
CREATE OR REPLACE FUNCTION tally.write_back(name text, target text, columns jsonb, key jsonb DEFAULT NULL)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tally.write_back(name, tally.relation_given(target, pg_catalog.current_setting('search_path')), columns, key);
END
$$;

-- tally.write_back_by_name: the same, whatever the caller's search_path.
CREATE OR REPLACE FUNCTION tally.write_back_by_name(name text, target regclass, columns jsonb, key jsonb)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
#variable_conflict use_variable
DECLARE
    v    tally.derived_view := tally.lookup(name);
    keys name[] := coalesce(v.key, v.group_by);
    b    tally.write_back;
BEGIN
    IF target IS NULL THEN
        PERFORM tally.fail('TL018', format('No table was named to which values of %s are written.', tally.part(v)), 'Name the table whose columns are to be kept.');
    ELSIF v.kind = 'snapshot' OR keys = '{}' OR v.kind = 'projection' AND NOT v.key @> v.identity THEN
        PERFORM tally.fail('TL004', format('%s has not one row for each key, so nothing of it can be written back.', tally.part(v)),
            CASE v.kind WHEN 'projection' THEN format('Write back from a rollup over it: tally.create_rollup(…, %L, %L, …).', tally.part(v), v.key::text) ELSE 'Write back from a projection or a rollup with a key.' END);
    ELSIF (SELECT r.relkind FROM pg_class r WHERE r.oid = target) NOT IN ('r', 'p') THEN
        PERFORM tally.fail('TL016', format('%s is no table, so nothing can be written back to it.', target), 'Name the table that the application reads.');
    ELSIF EXISTS (SELECT FROM tally.made_now m WHERE m.relation = target)
       OR (SELECT c.relnamespace IN (SELECT n.oid FROM pg_namespace n WHERE n.nspname IN ('tally', 'pg_catalog', 'information_schema')) FROM pg_class c WHERE c.oid = target) THEN
        PERFORM tally.fail('TL016', format('%s is no table of the application, so nothing is written back to it.', target), 'Name the table that the application reads. A view over kept tables joins their values.');
    ELSIF NOT pg_has_role((SELECT c.relowner FROM pg_class c WHERE c.oid = tally.relation_of(v)), 'USAGE') THEN
        PERFORM tally.fail('TL018', format('%I does not own %s, so it cannot have values of it written back.', current_user, tally.part(v)),
            format('GRANT %I TO %I, or let %1$I call it.', (SELECT pg_get_userbyid(c.relowner) FROM pg_class c WHERE c.oid = tally.relation_of(v)), current_user));
    ELSIF NOT has_table_privilege(target, 'SELECT') OR NOT has_any_column_privilege(target, 'UPDATE') THEN
        PERFORM tally.fail('TL018', format('%s may not update %s, so nothing can be written back to it.', current_user, target), format('GRANT SELECT, UPDATE ON %s TO %I', target, current_user));
    END IF;
    PERFORM tally.require_names('columns', columns, '{"detections_count":"detections"}');
    PERFORM tally.require_names('key', coalesce(key, '{}'), '{"event_id":"id"}');
    DELETE FROM tally.write_back x WHERE x.view_id = v.id AND x.target = target;
    IF columns = '{}' THEN
        PERFORM tally.install_write_back(v);
        RETURN;
    END IF;
    key := coalesce(key, tally.key_of_target(keys, target));
    PERFORM tally.require_columns(tally.written_from(v, key, columns), ARRAY(SELECT jsonb_object_keys(key)::name) || ARRAY(SELECT e.value::name FROM jsonb_each_text(columns) e));
    PERFORM tally.require_columns(target, ARRAY(SELECT jsonb_object_keys(columns)::name) || ARRAY(SELECT e.value::name FROM jsonb_each_text(key) e));
    IF NOT ARRAY(SELECT jsonb_object_keys(key)::name) @> keys OR NOT keys @> ARRAY(SELECT jsonb_object_keys(key)::name) THEN
        PERFORM tally.fail('TL018', format('key is %s, but the key of %s is (%s).', key, tally.part(v), tally.column_list(keys)), format('key => ''{"%s":"column of %s"}''', keys[1], target));
    END IF;
    INSERT INTO tally.write_back (view_id, target, key, columns) VALUES (v.id, target, key, columns) RETURNING * INTO b;
    b := tally.follow_target(b);
    PERFORM tally.require_writable(b, v);
    IF tally.target_trouble(b, v) IS NOT NULL THEN
        PERFORM tally.fail('TL018', format('Nothing can be written back from %s: %s', tally.part(v), tally.target_trouble(b, v)), format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY, say.', target));
    END IF;
    PERFORM tally.refuse_loop(tally.view_by_id(coalesce(v.root_id, v.id)));
    PERFORM tally.install_write_back(v);
    INSERT INTO tally.to_write_back (write_back_id, key) VALUES (b.id, '{}');
END
$$;

-- tally.require_names: raise TL018 unless an argument is an object of names.
CREATE OR REPLACE FUNCTION tally.require_names(what text, names jsonb, example text)
RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
BEGIN
    IF jsonb_typeof(names) IS DISTINCT FROM 'object' OR EXISTS (SELECT FROM jsonb_each(CASE jsonb_typeof(names) WHEN 'object' THEN names ELSE '{}' END) e WHERE jsonb_typeof(e.value) <> 'string') THEN
        PERFORM tally.fail('TL018', format('%s is %s; it must be an object of names.', what, coalesce(names::text, 'NULL')), format('%s => ''%s''', what, example));
    END IF;
END
$$;

-- tally.written_from: the relation whose values are written back: the kept table, or the view over a rollup that shows what a split view computes with its aggregates.
CREATE OR REPLACE FUNCTION tally.written_from(v tally.derived_view, key jsonb, columns jsonb)
RETURNS regclass LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT coalesce((
        SELECT c.oid FROM tally.split s JOIN pg_class c ON c.relname = s.shown AND c.relnamespace = (SELECT n.oid FROM pg_namespace n WHERE n.nspname = v.schema_name)
        WHERE s.rollup_id = v.id AND tally.columns_of(c.oid)::text[] @> (ARRAY(SELECT jsonb_object_keys(key)) || ARRAY(SELECT e.value FROM jsonb_each_text(columns) e))), tally.part(v)::regclass::oid)::regclass
$$;

-- tally.require_writable: raise TL018 unless the columns of a target can take the values of a view, and its key columns can be compared with the view's.
CREATE OR REPLACE FUNCTION tally.require_writable(b tally.write_back, v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    c     record;
    other record;
BEGIN
    FOR c IN SELECT e.key AS col, e.value AS of_view, a.attgenerated <> '' OR a.attidentity = 'a' AS is_generated, format_type(a.atttypid, NULL) AS type, tally.type_of(tally.written_from(v, b.key, b.columns), e.value) AS given
             FROM jsonb_each_text(b.columns) e JOIN pg_attribute a ON a.attrelid = b.target AND a.attname = e.key ORDER BY 1 LOOP
        IF c.is_generated THEN
            PERFORM tally.fail('TL018', format('Column "%s" of %s is generated, so nothing can be written to it.', c.col, b.target), 'Name a column that an UPDATE may set.');
        ELSIF c.col = ANY (ARRAY(SELECT e.value FROM jsonb_each_text(b.key) e)) THEN
            PERFORM tally.fail('TL018', format('Column "%s" of %s holds the key, so nothing can be written to it.', c.col, b.target), 'Name another column.');
        ELSIF NOT tally.runs(format('SELECT CAST(NULL::%s AS %s)', c.given, c.type)) THEN
            PERFORM tally.fail('TL018', format('Column "%s" of %s is %s, which %s of %s (%s) cannot be cast to.', c.col, b.target, c.type, c.of_view, tally.part(v), c.given), format('Compute it as %s in the view.', c.type));
        END IF;
        SELECT d.schema_name, d.relation_name INTO other FROM tally.write_back w JOIN tally.derived_view d ON d.id = w.view_id WHERE w.target = b.target AND w.id <> b.id AND w.columns ? c.col
            AND d.id NOT IN (SELECT n.id FROM tally.derived_view n WHERE n.replaces_id = v.id UNION SELECT v.replaces_id WHERE v.replaces_id IS NOT NULL) LIMIT 1;
        IF FOUND THEN
            PERFORM tally.fail('TL018', format('Column "%s" of %s is kept by %I.%I already.', c.col, b.target, other.schema_name, other.relation_name),
                format('SELECT tally.write_back(%L, %L, ''{}'') ends that.', format('%I.%I', other.schema_name, other.relation_name), b.target));
        END IF;
    END LOOP;
    FOR c IN SELECT e.key AS of_view, e.value AS col, tally.type_of(b.target, e.value) AS type, tally.type_of(tally.part(v)::regclass, e.key) AS given FROM jsonb_each_text(b.key) e ORDER BY 1 LOOP
        IF NOT tally.runs(format('SELECT FROM %s g JOIN %s s ON %s LIMIT 0', b.target, tally.part(v), tally.sql_same_target(b, v, 's'))) THEN
            PERFORM tally.fail('TL018', format('Column "%s" of %s is %s, which cannot be compared with the key column "%s" of %s (%s).', c.col, b.target, c.type, c.of_view, tally.part(v), c.given),
                format('key => ''{"%s":"column of %s"}'' names another column.', c.of_view, b.target));
        END IF;
    END LOOP;
END
$$;

-- tally.runs: whether a SELECT over types can be parsed: a cast or an operator may not exist.
CREATE OR REPLACE FUNCTION tally.runs(query text)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE query;
    RETURN true;
EXCEPTION WHEN syntax_error_or_access_rule_violation THEN
    RETURN false;
WHEN data_exception OR integrity_constraint_violation THEN  -- NULL in a domain, for example
    RETURN true;
END
$$;

-- tally.refuse_loop: raise TL018 if a projection reads a column that is written back from it: from itself or its rollups, from derived views
-- that read their tables, or by way of other write-backs. Then merges would never end.
--   Parameters v: a projection, or the replacement of one
--   Used by    tally.write_back, tally.refuse_unsafe
CREATE OR REPLACE FUNCTION tally.refuse_loop(v tally.derived_view)
RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    l record;
BEGIN
    IF NOT EXISTS (SELECT FROM tally.write_back) THEN
        RETURN;
    END IF;
    WITH RECURSIVE member AS MATERIALIZED (   -- the tables that are written for each projection, and their columns (NULL: all)
        SELECT coalesce(d.root_id, d.id) AS root, tally.relation_of(d)::oid AS relation, NULL::text AS col FROM tally.derived_view d WHERE d.kind <> 'snapshot'
        UNION ALL
        SELECT coalesce(d.root_id, d.id), b.target::oid, k FROM tally.write_back b JOIN tally.derived_view d ON d.id = b.view_id, jsonb_object_keys(b.columns) k
    ), used AS MATERIALIZED (
        SELECT s.projection_id AS root, s.relation, ARRAY(SELECT t::oid FROM tally.table_and_children(s.relation) t) AS parts, (s.columns || tally.columns_used(d.definition, s.relation))::text[] AS columns
        FROM tally.source s JOIN tally.derived_view d ON d.id = s.projection_id WHERE d.kind = 'projection' AND s.columns IS NOT NULL
    ), reached AS (
        SELECT m.relation, m.col FROM member m WHERE m.root IN (v.id, v.replaces_id)
        UNION
        SELECT m.relation, m.col FROM reached r JOIN used u ON r.relation = ANY (u.parts) AND (r.col IS NULL OR r.col = ANY (u.columns)) JOIN member m ON m.root = u.root
    )
    SELECT r.col, r.relation::regclass AS target INTO l FROM reached r JOIN used u ON u.root = v.id AND r.relation = ANY (u.parts) AND (r.col IS NULL OR r.col = ANY (u.columns))
    ORDER BY r.col NULLS LAST LIMIT 1;
    IF FOUND THEN
        PERFORM tally.fail('TL018', format('%s reads %s, which is written back from it: each merge would change it again.', v.definition,
            CASE WHEN l.col IS NULL THEN l.target::text ELSE format('column "%s" of %s', l.col, l.target) END), 'Write the values to a column that no view on the way reads.');
    END IF;
END
$$;

-- tally.require_written_columns: raise TL006 unless the new definition of a projection has the columns that are written back from it.
--   Used by   tally.redefine
CREATE OR REPLACE FUNCTION tally.require_written_columns(v tally.derived_view, definition regclass)
RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    b record;
BEGIN
    SELECT w.target, e.value AS col INTO b FROM tally.write_back w CROSS JOIN LATERAL jsonb_each_text(w.columns) e WHERE w.view_id = v.id AND e.value <> ALL (tally.columns_of(definition)::text[]) LIMIT 1;
    IF FOUND THEN
        PERFORM tally.fail('TL006', format('%s has no column "%s", which %s writes back to %s.', definition, b.col, tally.part(v), b.target),
            format('Give it the column, or end the write-back: SELECT tally.write_back(%L, %L, ''{}'').', tally.part(v), b.target));
    END IF;
END
$$;

-- tally.key_of_target: the columns of a table that hold a view's key: the primary key if both have one column, otherwise columns of the same names.
--   Raises    TL018
CREATE OR REPLACE FUNCTION tally.key_of_target(keys name[], target regclass)
RETURNS jsonb LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    primary_ name[] := (SELECT array_agg(a.attname ORDER BY u.n) FROM pg_index x CROSS JOIN LATERAL unnest(x.indkey) WITH ORDINALITY u(k, n) JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = u.k
                        WHERE x.indrelid = target AND x.indisprimary);
BEGIN
    IF cardinality(keys) = 1 AND cardinality(primary_) = 1 THEN
        RETURN jsonb_build_object(keys[1], primary_[1]);
    ELSIF NOT keys <@ tally.columns_of(target) THEN
        PERFORM tally.fail('TL018', format('Which columns of %s hold the key (%s) is not plain: give key => {"key column": "column of %s"}.', target, tally.column_list(keys), target));
    END IF;
    RETURN (SELECT jsonb_object_agg(k, k) FROM unnest(keys) k);
END
$$;

-- tally.install_write_back: the triggers on a kept table that store changed keys, if something is written back from it; otherwise none.
CREATE OR REPLACE FUNCTION tally.install_write_back(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    t record;
BEGIN
    FOR t IN SELECT g.tgname FROM pg_trigger g WHERE g.tgrelid = tally.relation_of(v) AND g.tgname ~ '^tally_write_back_' LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', t.tgname, tally.part(v));
    END LOOP;
    IF NOT EXISTS (SELECT FROM tally.write_back b WHERE b.view_id = v.id) THEN
        EXECUTE format('DROP FUNCTION IF EXISTS %s(integer)', tally.part(v, '_write_back'));
        RETURN;
    END IF;
    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {write_back}(n integer) RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
    SELECT tally.write_back_step({view_id}, n)
$body$ $template$, jsonb_build_object('write_back', tally.part(v, '_write_back'), 'view_id', v.id));
    PERFORM tally.seal(tally.part(v, '_write_back') || '(integer)', 'writes values of ' || tally.part(v) || ' back, with its declarer''s rights; called by tally.merge');
    PERFORM tally.own_made(tally.view_by_id(coalesce(v.root_id, v.id))), tally.grant_engine(tally.view_by_id(coalesce(v.root_id, v.id)));
    EXECUTE format('CREATE TRIGGER tally_write_back_insert AFTER INSERT ON %s REFERENCING NEW TABLE AS tally_new FOR EACH STATEMENT EXECUTE FUNCTION tally.note_write_back(%s)', tally.part(v), v.id);
    EXECUTE format('CREATE TRIGGER tally_write_back_update AFTER UPDATE ON %s REFERENCING OLD TABLE AS tally_old NEW TABLE AS tally_new FOR EACH STATEMENT EXECUTE FUNCTION tally.note_write_back(%s)', tally.part(v), v.id);
    EXECUTE format('CREATE TRIGGER tally_write_back_delete AFTER DELETE ON %s REFERENCING OLD TABLE AS tally_old FOR EACH STATEMENT EXECUTE FUNCTION tally.note_write_back(%s)', tally.part(v), v.id);
    PERFORM tally.note_triggers(coalesce(v.root_id, v.id), ARRAY[tally.relation_of(v)]);
END
$$;

-- tally.note_write_back: trigger function: store the keys whose kept rows a merge changes.
--   Writes    tally.to_write_back
CREATE OR REPLACE FUNCTION tally.note_write_back()
RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    v    tally.derived_view := tally.view_by_id(TG_ARGV[0]::integer);
    list text;
BEGIN
    SELECT string_agg(format('%L, d.%I::text', k, k), ', ') INTO list FROM unnest(coalesce(v.key, v.group_by)) k;
    EXECUTE format('INSERT INTO tally.to_write_back (write_back_id, key) SELECT b.id, k.key FROM tally.write_back b, (%s) k WHERE b.view_id = %s',
        concat_ws(' UNION ', CASE WHEN TG_OP <> 'INSERT' THEN format('SELECT jsonb_build_object(%s) AS key FROM tally_old d', list) END,
                             CASE WHEN TG_OP <> 'DELETE' THEN format('SELECT jsonb_build_object(%s) AS key FROM tally_new d', list) END), v.id);
    RETURN NULL;
END
$$;

-- tally.values_back: the SQL of each value that is written back, cast to the target's type. A text that is too long is not cut, so that the target refuses it. Without a kept row it is NULL, or 0 in a numeric NOT NULL column.
CREATE OR REPLACE FUNCTION tally.values_back(b tally.write_back, v tally.derived_view)
RETURNS TABLE (col text, value text, i bigint) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT e.key, format(CASE WHEN a.attnotnull AND t.typcategory = 'N' THEN 'coalesce(s.%I, 0)::%s' ELSE 's.%I::%s' END, e.value,
        format_type(a.atttypid, CASE WHEN t.typcategory IN ('S', 'V') THEN -1 ELSE a.atttypmod END)), row_number() OVER (ORDER BY e.key)
    FROM jsonb_each_text(b.columns) e JOIN pg_attribute a ON a.attrelid = b.target AND a.attname = e.key JOIN pg_type t ON t.oid = a.atttypid
$$;

-- tally.sql_differs: a condition that a row g of the target has other values than those that are written back, by their image: 1.0 is not 1.00, and
-- a type without equality (json) can be compared. A padded text is compared without its blanks.
CREATE OR REPLACE FUNCTION tally.sql_differs(b tally.write_back, v tally.derived_view)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT format('ROW(%s)::record *<> ROW(%s)::record', string_agg(format(CASE WHEN p.is_padded THEN 'g.%I::text' ELSE 'g.%I' END, n.col), ', ' ORDER BY n.col),
                  string_agg(CASE WHEN p.is_padded THEN format('(%s)::text', n.value) ELSE n.value END, ', ' ORDER BY n.col))
    FROM tally.values_back(b, v) n CROSS JOIN LATERAL (SELECT tally.type_id(b.target, n.col) = 'bpchar'::regtype) p(is_padded)
$$;

-- tally.write_back_step: write some of the changed keys of a view to its targets: only values that differ, and only rows that nobody holds. If a
-- target refuses values, the error is stored in the catalog. Keys that it refuses stay pending, behind the others.
--   Returns    rows written
--   Writes     the targets, tally.to_write_back, tally.write_back
--   Locks      waits a tenth of a second at most; a target that somebody changes is left for a later merge
CREATE OR REPLACE FUNCTION tally.write_back_step(view_id integer, n integer)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    b        tally.write_back;
    v        tally.derived_view := tally.view_by_id(view_id);
    patience text := current_setting('lock_timeout');
    made     bigint := 0;
    part     record;
    problem  text;
BEGIN
    PERFORM set_config('lock_timeout', '100ms', true);
    FOR b IN SELECT w.* FROM tally.write_back w WHERE w.view_id = write_back_step.view_id AND EXISTS (SELECT FROM tally.to_write_back q WHERE q.write_back_id = w.id) ORDER BY w.id LOOP
        IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = b.target) THEN
            DELETE FROM tally.write_back w WHERE w.id = b.id;
            CONTINUE;
        END IF;
        b := tally.follow_target(b);
        problem := coalesce(tally.target_trouble(b, v), tally.list_every_key(b, v));
        IF problem IS NULL THEN
            SELECT * INTO part FROM tally.write_some_back(b, v, n, (SELECT max(q.id) FROM tally.to_write_back q WHERE q.write_back_id = b.id), 20);
            made := made + part.made;
            problem := part.problem;
        END IF;
        UPDATE tally.write_back w SET error = problem WHERE w.id = b.id AND w.error IS DISTINCT FROM problem;
    END LOOP;
    PERFORM set_config('lock_timeout', patience, true);
    RETURN made;
END
$$;

-- tally.follow_target: take over the new names of a target's columns.
--   Writes     tally.write_back
CREATE OR REPLACE FUNCTION tally.follow_target(b tally.write_back)
RETURNS tally.write_back LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    names jsonb := (  -- of each column, by the name that it had: another name only if that name is gone
        SELECT jsonb_object_agg(p.key, coalesce(own.attname, a.attname, p.key)) FROM jsonb_each_text(b.numbers) p
        LEFT JOIN pg_attribute own ON own.attrelid = b.target AND own.attname = p.key AND own.attnum > 0 AND NOT own.attisdropped
        LEFT JOIN pg_attribute a ON a.attrelid = b.target AND a.attnum = p.value::smallint AND NOT a.attisdropped);
    after tally.write_back := b;
BEGIN
    after.columns := (SELECT jsonb_object_agg(coalesce(names ->> e.key, e.key), e.value) FROM jsonb_each(b.columns) e);
    after.key := (SELECT jsonb_object_agg(e.key, coalesce(names ->> e.value, e.value)) FROM jsonb_each_text(b.key) e);
    after.numbers := tally.numbers_of(after);
    IF after IS DISTINCT FROM b THEN
        UPDATE tally.write_back w SET columns = after.columns, key = after.key, numbers = after.numbers WHERE w.id = b.id;
    END IF;
    RETURN after;
END
$$;

-- tally.numbers_of: the numbers of a target's columns, by name, so that they are found under other names. A number that is known stays if the name is gone.
CREATE OR REPLACE FUNCTION tally.numbers_of(b tally.write_back)
RETURNS jsonb LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT jsonb_object_agg(n.name, coalesce(a.attnum, (b.numbers ->> n.name)::smallint))
    FROM (SELECT jsonb_object_keys(b.columns) UNION SELECT e.value FROM jsonb_each_text(b.key) e) n(name)
    LEFT JOIN pg_attribute a ON a.attrelid = b.target AND a.attname = n.name AND a.attnum > 0 AND NOT a.attisdropped
$$;

-- tally.target_trouble: why nothing can be written to a target now; NULL: it can.
CREATE OR REPLACE FUNCTION tally.target_trouble(b tally.write_back, v tally.derived_view)
RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    lost text := (SELECT string_agg(c, ', ') FROM (SELECT jsonb_object_keys(b.columns) UNION SELECT value FROM jsonb_each_text(b.key)) x(c) WHERE x.c <> ALL (tally.columns_of(b.target)::text[]));
BEGIN
    IF lost IS NOT NULL THEN
        RETURN format('%s has no column %s any more. Name the present columns: SELECT tally.write_back(%L, %L, …); ''{}'' ends it.', b.target, lost, tally.part(v), b.target::text);
    ELSIF row_security_active(b.target) THEN
        RETURN format('the row-level security of %s binds %s, so it would not see every row. Let the owner of %s be the table''s, without FORCE ROW LEVEL SECURITY, or a role with BYPASSRLS.', b.target, current_user, tally.part(v));
    END IF;
    RETURN NULL;
END
$$;

-- tally.write_some_back: write the first n of the changed keys. If the target refuses that, halves of them, until the keys that it refuses are alone.
--   Parameters upto: only keys that were stored until then, so that none is tried twice; tries: so many refusals at most
--   Returns    made: rows written; problem: the last refusal; failures: how many there were
CREATE OR REPLACE FUNCTION tally.write_some_back(b tally.write_back, v tally.derived_view, n integer, upto bigint, tries integer, OUT made bigint, OUT problem text, OUT failures integer)
LANGUAGE plpgsql AS $$
DECLARE
    half record;
BEGIN
    made := 0; failures := 0;
    n := (SELECT count(*) FROM (SELECT FROM tally.to_write_back q WHERE q.write_back_id = b.id AND q.id <= upto AND q.key <> '{}' LIMIT n) x);
    IF n = 0 THEN
        RETURN;
    END IF;
    BEGIN
        EXECUTE tally.sql_write_back(b, v) INTO made USING n, upto;
        PERFORM tally.check_deferred(b.target);
        RETURN;
    EXCEPTION
        WHEN lock_not_available THEN made := 0; RETURN;  -- somebody changes the table
        WHEN operator_intervention OR insufficient_resources OR transaction_rollback OR system_error OR internal_error THEN RAISE;
        WHEN OTHERS THEN problem := SQLERRM; failures := 1; made := 0;
    END;
    IF n = 1 THEN
        UPDATE tally.to_write_back q SET id = DEFAULT WHERE q.id = (SELECT min(f.id) FROM tally.to_write_back f WHERE f.write_back_id = b.id AND f.key <> '{}') RETURNING format('%s: %s', q.key, problem) INTO problem;
        RETURN;
    END IF;
    FOREACH n IN ARRAY ARRAY[n / 2, n - n / 2] LOOP
        EXIT WHEN failures >= tries;
        SELECT * INTO half FROM tally.write_some_back(b, v, n, upto, tries - failures);
        made := made + half.made;
        failures := failures + half.failures;
        problem := coalesce(half.problem, problem);
    END LOOP;
END
$$;

-- tally.list_every_key: if every key of a target is to be written, store those whose values differ, so that they are written in bounded steps. If
-- some value cannot be compared with the target's, all of them.
--   Returns    why that failed; NULL: it did not
--   Writes     tally.to_write_back
CREATE OR REPLACE FUNCTION tally.list_every_key(b tally.write_back, v tally.derived_view)
RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM tally.to_write_back q WHERE q.write_back_id = b.id AND q.key = '{}';
    IF FOUND THEN
        BEGIN
            EXECUTE tally.sql_every_key(b, v, true);
        EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN  -- a value is out of the range of the target's type
            EXECUTE tally.sql_every_key(b, v, false);
        END;
    END IF;
    RETURN NULL;
EXCEPTION
    WHEN lock_not_available THEN RETURN NULL;  -- somebody changes the table
    WHEN operator_intervention OR insufficient_resources OR transaction_rollback OR system_error OR internal_error THEN RAISE;
    WHEN OTHERS THEN RETURN SQLERRM;
END
$$;

-- tally.check_deferred: check the deferred constraints of a target now. At the commit an error would be the whole merge's.
CREATE OR REPLACE FUNCTION tally.check_deferred(target regclass)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    names text := (SELECT string_agg(DISTINCT format('%I.%I', n.nspname, k.conname), ', ') FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace WHERE k.conrelid IN (SELECT t FROM tally.table_and_children(target) t) AND k.condeferred);
BEGIN
    IF names IS NOT NULL THEN
        EXECUTE format('SET CONSTRAINTS %s IMMEDIATE', names);
        EXECUTE format('SET CONSTRAINTS %s DEFERRED', names);
    END IF;
END
$$;

-- tally.write_backs: one step for a projection and the rollups above it, each with its declarer's rights.
--   Returns    rows written
CREATE OR REPLACE FUNCTION tally.write_backs(root integer)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    d    tally.derived_view;
    made bigint := 0;
    done bigint;
BEGIN
    FOR d IN SELECT x.* FROM tally.derived_view x WHERE root IN (x.id, x.root_id) AND EXISTS (SELECT FROM tally.write_back w JOIN tally.to_write_back q ON q.write_back_id = w.id WHERE w.view_id = x.id) ORDER BY x.id LOOP
        EXECUTE format('SELECT %s(1000)', tally.declarers(d, '_write_back')) INTO done;
        made := made + coalesce(done, 0);
    END LOOP;
    RETURN made;
END
$$;

-- tally.write_all_back: write all changed keys of a projection and the rollups above it. Keys whose rows another session holds stay pending.
--   Returns    rows written
CREATE OR REPLACE FUNCTION tally.write_all_back(root integer)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    made bigint := 0;
    noted bigint;
    before bigint;
BEGIN
    LOOP
        SELECT count(*) INTO noted FROM tally.to_write_back q JOIN tally.write_back w ON w.id = q.write_back_id JOIN tally.derived_view x ON x.id = w.view_id WHERE root IN (x.id, x.root_id);
        EXIT WHEN noted = 0 OR noted >= before;
        before := noted;
        made := made + tally.write_backs(root);
    END LOOP;
    RETURN made;
END
$$;

-- tally.sql_same_target: a condition that a row g of the target has the key of a row of the view's columns (other).
CREATE OR REPLACE FUNCTION tally.sql_same_target(b tally.write_back, v tally.derived_view, other text)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT string_agg(format('g.%I %s %I.%I', e.value, CASE WHEN tally.base_type(tally.type_id(b.target, e.value)) = tally.base_type(tally.type_id(tally.part(v)::regclass, e.key))
                                                           THEN tally.sql_operator(tally.part(v)::regclass, e.key) ELSE '=' END, other, e.key), ' AND ')
    FROM jsonb_each_text(b.key) e
$$;

-- tally.sql_write_back: the statement that writes some of the changed keys to a target. Rows are locked in the order of their ctids. Rows that
-- another session holds are skipped, and their keys stored again.
CREATE OR REPLACE FUNCTION tally.sql_write_back(b tally.write_back, v tally.derived_view)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $generator$
    SELECT tally.render($template$WITH taken AS (
    DELETE FROM tally.to_write_back q WHERE q.id IN (SELECT f.id FROM tally.to_write_back f WHERE f.write_back_id = {id} AND f.id <= $2 AND f.key <> '{}' ORDER BY f.id LIMIT $1) RETURNING q.key),
keys AS MATERIALIZED (SELECT DISTINCT {typed_keys} FROM taken t),
due AS MATERIALIZED (
    SELECT g.tableoid AS tally_table, g.ctid AS tally_tid, {new_values}, {named_keys} FROM keys k JOIN {target} g ON {same_target} LEFT JOIN {view} s ON {same_view} WHERE {differs}),
held AS MATERIALIZED (SELECT g.tableoid AS tally_table, g.ctid AS tally_tid FROM {target} g WHERE g.ctid = ANY (ARRAY(SELECT d.tally_tid FROM due d)) AND (g.tableoid, g.ctid) IN (SELECT d.tally_table, d.tally_tid FROM due d)
    FOR NO KEY UPDATE SKIP LOCKED),
written AS (UPDATE {target} g SET {assignments} FROM due d JOIN held h USING (tally_table, tally_tid) WHERE g.tableoid = d.tally_table AND g.ctid = d.tally_tid RETURNING 1),
again AS (INSERT INTO tally.to_write_back (write_back_id, key) SELECT {id}, jsonb_build_object({key_pairs}) FROM due d WHERE NOT EXISTS (SELECT FROM held h WHERE (h.tally_table, h.tally_tid) = (d.tally_table, d.tally_tid)) RETURNING 1)
SELECT count(*) FROM written$template$, jsonb_build_object(
        'id',          b.id,
        'target',      b.target,
        'view',        tally.written_from(v, b.key, b.columns),
        'typed_keys',  (SELECT string_agg(format('(t.key ->> %L)::%s AS %I', e.key, tally.type_of(tally.part(v)::regclass, e.key), e.key), ', ' ORDER BY e.key) FROM jsonb_each_text(b.key) e),
        'named_keys',  (SELECT string_agg(format('k.%I AS tally_key_%s', e.key, e.n), ', ' ORDER BY e.key) FROM (SELECT x.*, row_number() OVER (ORDER BY x.key) AS n FROM jsonb_each_text(b.key) x) e),
        'key_pairs',   (SELECT string_agg(format('%L, d.tally_key_%s::text', e.key, e.n), ', ' ORDER BY e.key) FROM (SELECT x.*, row_number() OVER (ORDER BY x.key) AS n FROM jsonb_each_text(b.key) x) e),
        'same_target', tally.sql_same_target(b, v, 'k'),
        'same_view',   (SELECT string_agg(format('s.%1$I %2$s k.%1$I', e.key, tally.sql_operator(tally.part(v)::regclass, e.key)), ' AND ') FROM jsonb_each_text(b.key) e),
        'differs',     tally.sql_differs(b, v),
        'new_values',  (SELECT string_agg(format('%s AS tally_new_%s', n.value, n.i), ', ' ORDER BY n.col) FROM tally.values_back(b, v) n),
        'assignments', (SELECT string_agg(format('%I = d.tally_new_%s', n.col, n.i), ', ' ORDER BY n.col) FROM tally.values_back(b, v) n)))
$generator$;

-- tally.sql_every_key: the statement that stores the keys of a target, or only those whose values differ.
CREATE OR REPLACE FUNCTION tally.sql_every_key(b tally.write_back, v tally.derived_view, only_others boolean)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $generator$
    SELECT tally.render($template$INSERT INTO tally.to_write_back (write_back_id, key)
SELECT {id}, jsonb_build_object({key_pairs}) FROM {target} g LEFT JOIN {view} s ON {same} WHERE {keyed}{others}$template$, jsonb_build_object(
        'id',          b.id,
        'target',      b.target,
        'view',        tally.written_from(v, b.key, b.columns),
        'key_pairs',   (SELECT string_agg(format('%L, g.%I::text', e.key, e.value), ', ' ORDER BY e.key) FROM jsonb_each_text(b.key) e),
        'keyed',       (SELECT string_agg(format('g.%I IS NOT NULL', e.value), ' AND ' ORDER BY e.key) FROM jsonb_each_text(b.key) e),
        'same',        tally.sql_same_target(b, v, 's'),
        'others',      CASE WHEN only_others THEN ' AND ' || tally.sql_differs(b, v) ELSE '' END))
$generator$;

-- tally.write_every_key: compare every row of the targets of a projection and the rollups above it with the kept values.
--   Writes    tally.to_write_back
CREATE OR REPLACE FUNCTION tally.write_every_key(root integer)
RETURNS void LANGUAGE sql AS $$
    INSERT INTO tally.to_write_back (write_back_id, key) SELECT b.id, '{}' FROM tally.write_back b JOIN tally.derived_view d ON d.id = b.view_id WHERE root IN (d.id, d.root_id)
$$;

-- tally.move_write_back: after a redefinition, let values be written back from the replacement.
--   Used by    tally.swap, before the old view is removed from the catalog
CREATE OR REPLACE FUNCTION tally.move_write_back(old_root integer)
RETURNS void LANGUAGE sql AS $$
    UPDATE tally.write_back b SET view_id = n.id FROM tally.derived_view o JOIN tally.derived_view n ON n.replaces_id = o.id WHERE b.view_id = o.id AND old_root IN (o.id, o.root_id)
$$;

-- tally.renew_write_back: make the triggers on a replacement, and write every key once.
CREATE OR REPLACE FUNCTION tally.renew_write_back(root integer)
RETURNS void LANGUAGE sql AS $$
    SELECT tally.install_write_back(d) FROM tally.derived_view d WHERE root IN (d.id, d.root_id) AND EXISTS (SELECT FROM tally.write_back b WHERE b.view_id = d.id);
    SELECT tally.write_every_key(root)
$$;
