-- tally.write_back: keep columns of the application's own table equal to kept values.
--   Parameters name: a projection with one row a key, or a rollup; target: the application's table; columns: {"column of the target": "column of the view"},
--              {} ends it; key: {"key column of the view": "column of the target"}; NULL: columns of the same name, or the target's primary key
--   Writes     tally.write_back; a trigger on the kept table that stores the keys which merges change. Then tally.merge writes their values to the
--              target in separate transactions, and only where they differ. A row is locked only for its update; if another session holds it, it
--              is written later
--   Locks      SHARE ROW EXCLUSIVE on the kept table, until the transaction ends
--   Raises     TL001, TL004, TL006, TL016, TL018
--   Notes      A row whose key is no longer kept gets NULL, or 0 in a column that is NOT NULL and numeric
--   Used by    the owner of the schema, who may UPDATE the target
CREATE OR REPLACE FUNCTION tally.write_back(name text, target regclass, columns jsonb, key jsonb DEFAULT NULL)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tally.write_back_by_name(tally.called(name, pg_catalog.current_schemas(true)), target, columns, key);
END
$$;
COMMENT ON FUNCTION tally.write_back(text, regclass, jsonb, jsonb) IS 'keep columns of the application''s own table equal to kept values: {"detections_count":"detections"}';

-- tally.write_back_by_name: the same, whatever the caller's search_path.
CREATE OR REPLACE FUNCTION tally.write_back_by_name(name text, target regclass, columns jsonb, key jsonb)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
#variable_conflict use_variable
DECLARE
    v    tally.derived_view := tally.lookup(name);
    keys name[] := coalesce(v.key, v.group_by);
    b    tally.write_back;
    c    record;
BEGIN
    IF target IS NULL THEN
        PERFORM tally.fail('TL018', format('No table was named to which values of %s are written.', tally.part(v)), 'Name the table whose columns are to be kept.');
    ELSIF v.kind = 'snapshot' OR keys = '{}' OR v.kind = 'projection' AND NOT v.key @> v.identity THEN
        PERFORM tally.fail('TL004', format('%s has not one row for each key, so nothing of it can be written back.', tally.part(v)));
    ELSIF (SELECT r.relkind FROM pg_class r WHERE r.oid = target) NOT IN ('r', 'p') THEN
        PERFORM tally.fail('TL016', format('%s is no table, so nothing can be written back to it.', target));
    ELSIF NOT has_table_privilege(target, 'SELECT') OR NOT has_any_column_privilege(target, 'UPDATE') THEN
        PERFORM tally.fail('TL018', format('%s may not update %s, so nothing can be written back to it.', current_user, target), format('GRANT SELECT, UPDATE ON %s TO %I', target, current_user));
    ELSIF jsonb_typeof(columns) IS DISTINCT FROM 'object' OR jsonb_typeof(coalesce(key, '{}')) <> 'object' THEN
        PERFORM tally.fail('TL018', format('columns are %s; they must be an object such as {"detections_count":"detections"}.', coalesce(columns::text, 'NULL')));
    END IF;
    DELETE FROM tally.write_back x WHERE x.view_id = v.id AND x.target = target;
    IF columns = '{}' THEN
        PERFORM tally.install_write_back(v);
        RETURN;
    END IF;
    key := coalesce(key, tally.key_of_target(keys, target));
    PERFORM tally.require_columns(tally.part(v)::regclass, ARRAY(SELECT jsonb_object_keys(key)::name) || ARRAY(SELECT e.value::name FROM jsonb_each_text(columns) e));
    PERFORM tally.require_columns(target, ARRAY(SELECT jsonb_object_keys(columns)::name) || ARRAY(SELECT e.value::name FROM jsonb_each_text(key) e));
    IF NOT ARRAY(SELECT jsonb_object_keys(key)::name) @> keys OR NOT keys @> ARRAY(SELECT jsonb_object_keys(key)::name) THEN
        PERFORM tally.fail('TL018', format('key is %s, but the key of %s is (%s).', key, tally.part(v), tally.column_list(keys)));
    END IF;
    SELECT d.schema_name || '.' || d.relation_name AS view, k INTO c FROM tally.source s JOIN tally.derived_view d ON d.id = s.projection_id, jsonb_object_keys(columns) k
    WHERE s.projection_id = coalesce(v.root_id, v.id) AND s.relation = target AND k::name = ANY (s.columns || tally.columns_used(d.definition, s.relation)) LIMIT 1;
    IF FOUND THEN
        PERFORM tally.fail('TL018', format('Column "%s" of %s is read by %s itself: what is written back would change it again.', c.k, target, c.view));
    END IF;
    INSERT INTO tally.write_back (view_id, target, key, columns) VALUES (v.id, target, key, columns) RETURNING * INTO b;
    PERFORM tally.install_write_back(v);
    INSERT INTO tally.to_write_back (write_back_id, key) VALUES (b.id, '{}');
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
    SELECT string_agg(format('%L, d.%I', k, k), ', ') INTO list FROM unnest(coalesce(v.key, v.group_by)) k;
    EXECUTE format('INSERT INTO tally.to_write_back (write_back_id, key) SELECT b.id, k.key FROM tally.write_back b, (%s) k WHERE b.view_id = %s',
        concat_ws(' UNION ', CASE WHEN TG_OP <> 'INSERT' THEN format('SELECT jsonb_build_object(%s) AS key FROM tally_old d', list) END,
                             CASE WHEN TG_OP <> 'DELETE' THEN format('SELECT jsonb_build_object(%s) AS key FROM tally_new d', list) END), v.id);
    RETURN NULL;
END
$$;

-- tally.values_back: the SQL of each value that is written back, cast to the target's type. Without a kept row it is NULL, or 0 in a numeric NOT NULL column.
CREATE OR REPLACE FUNCTION tally.values_back(b tally.write_back, v tally.derived_view)
RETURNS TABLE (col text, value text, i bigint) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT e.key, format(CASE WHEN a.attnotnull AND t.typcategory = 'N' THEN 'coalesce(s.%I, 0)::%s' ELSE 's.%I::%s' END, e.value, format_type(a.atttypid, a.atttypmod)), row_number() OVER (ORDER BY e.key)
    FROM jsonb_each_text(b.columns) e JOIN pg_attribute a ON a.attrelid = b.target AND a.attname = e.key JOIN pg_type t ON t.oid = a.atttypid
$$;

-- tally.write_back_step: write some of the changed keys of a view to its targets: only values that differ, and only rows that nobody holds. If a
-- target refuses the values, the error is stored in the catalog, and the keys stay pending.
--   Returns    rows written
--   Writes     the targets, tally.to_write_back, tally.write_back
CREATE OR REPLACE FUNCTION tally.write_back_step(view_id integer, n integer)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    b    tally.write_back;
    made bigint := 0;
    done bigint;
BEGIN
    FOR b IN SELECT w.* FROM tally.write_back w WHERE w.view_id = write_back_step.view_id AND EXISTS (SELECT FROM tally.to_write_back q WHERE q.write_back_id = w.id) ORDER BY w.id LOOP
        CONTINUE WHEN NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = b.target);
        BEGIN
            EXECUTE tally.sql_write_back(b, tally.view_by_id(b.view_id)) INTO done USING n;
            made := made + done;
            UPDATE tally.write_back w SET error = NULL WHERE w.id = b.id AND w.error IS NOT NULL;
        EXCEPTION
            WHEN operator_intervention OR insufficient_resources OR transaction_rollback OR system_error OR internal_error THEN RAISE;
            WHEN OTHERS THEN UPDATE tally.write_back w SET error = SQLERRM WHERE w.id = b.id AND w.error IS DISTINCT FROM SQLERRM;
        END;
    END LOOP;
    RETURN made;
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

-- tally.sql_write_back: the statement that writes some of the changed keys to a target. Rows are locked in the order of their ctids. Rows that
-- another session holds are skipped, and their keys stored again.
CREATE OR REPLACE FUNCTION tally.sql_write_back(b tally.write_back, v tally.derived_view)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $generator$
    SELECT tally.render($template$WITH taken AS (
    DELETE FROM tally.to_write_back q WHERE q.id IN (SELECT f.id FROM tally.to_write_back f WHERE f.write_back_id = {id} ORDER BY f.id LIMIT $1) RETURNING q.key),
keys AS MATERIALIZED (SELECT DISTINCT {typed_keys} FROM taken t WHERE t.key <> '{}' UNION SELECT {target_keys} FROM {target} g WHERE EXISTS (SELECT FROM taken t WHERE t.key = '{}')),
due AS MATERIALIZED (
    SELECT g.tableoid AS tally_table, g.ctid AS tally_tid, {new_values}, {named_keys} FROM keys k JOIN {target} g ON {same_target} LEFT JOIN {view} s ON {same_view} WHERE ({old}) IS DISTINCT FROM ({new})),
held AS MATERIALIZED (SELECT g.tableoid AS tally_table, g.ctid AS tally_tid FROM {target} g WHERE g.ctid = ANY (ARRAY(SELECT d.tally_tid FROM due d)) AND (g.tableoid, g.ctid) IN (SELECT d.tally_table, d.tally_tid FROM due d)
    FOR NO KEY UPDATE SKIP LOCKED),
written AS (UPDATE {target} g SET {assignments} FROM due d JOIN held h USING (tally_table, tally_tid) WHERE g.tableoid = d.tally_table AND g.ctid = d.tally_tid RETURNING 1),
again AS (INSERT INTO tally.to_write_back (write_back_id, key) SELECT {id}, jsonb_build_object({key_pairs}) FROM due d WHERE NOT EXISTS (SELECT FROM held h WHERE (h.tally_table, h.tally_tid) = (d.tally_table, d.tally_tid)) RETURNING 1)
SELECT count(*) FROM written$template$, jsonb_build_object(
        'id',          b.id,
        'target',      b.target,
        'view',        tally.part(v),
        'typed_keys',  (SELECT string_agg(format('(t.key ->> %L)::%s AS %I', e.key, tally.type_of(tally.part(v)::regclass, e.key), e.key), ', ' ORDER BY e.key) FROM jsonb_each_text(b.key) e),
        'target_keys', (SELECT string_agg(format('g.%I', e.value), ', ' ORDER BY e.key) FROM jsonb_each_text(b.key) e),
        'named_keys',  (SELECT string_agg(format('k.%I AS tally_key_%s', e.key, e.n), ', ' ORDER BY e.key) FROM (SELECT x.*, row_number() OVER (ORDER BY x.key) AS n FROM jsonb_each_text(b.key) x) e),
        'key_pairs',   (SELECT string_agg(format('%L, d.tally_key_%s', e.key, e.n), ', ' ORDER BY e.key) FROM (SELECT x.*, row_number() OVER (ORDER BY x.key) AS n FROM jsonb_each_text(b.key) x) e),
        'same_target', (SELECT string_agg(format('g.%I %s k.%I', e.value, CASE WHEN tally.base_type(tally.type_id(b.target, e.value)) = tally.base_type(tally.type_id(tally.part(v)::regclass, e.key))
                                                                                  THEN tally.sql_operator(tally.part(v)::regclass, e.key) ELSE '=' END, e.key), ' AND ') FROM jsonb_each_text(b.key) e),
        'same_view',   (SELECT string_agg(format('s.%1$I %2$s k.%1$I', e.key, tally.sql_operator(tally.part(v)::regclass, e.key)), ' AND ') FROM jsonb_each_text(b.key) e),
        'old',         (SELECT string_agg(format('g.%I', e.key), ', ' ORDER BY e.key) FROM jsonb_each_text(b.columns) e),
        'new',         (SELECT string_agg(n.value, ', ' ORDER BY n.col) FROM tally.values_back(b, v) n),
        'new_values',  (SELECT string_agg(format('%s AS tally_new_%s', n.value, n.i), ', ' ORDER BY n.col) FROM tally.values_back(b, v) n),
        'assignments', (SELECT string_agg(format('%I = d.tally_new_%s', n.col, n.i), ', ' ORDER BY n.col) FROM tally.values_back(b, v) n)))
$generator$;

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
    INSERT INTO tally.to_write_back (write_back_id, key) SELECT b.id, '{}' FROM tally.write_back b JOIN tally.derived_view d ON d.id = b.view_id WHERE root IN (d.id, d.root_id)
$$;
