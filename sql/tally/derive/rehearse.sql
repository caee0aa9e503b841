-- tally.rehearse: a test by trial, rolled back. It changes, deletes and copies rows of each source, and checks whether the keys that change in
-- the view are those that the watched sources lead to.
--   Parameters name: a declared projection; rows: at most so many attempts for each source and column; seed: of the random choice; max_time:
--              after it, no further attempt starts
--   Returns    a row per source and kind of change: source, change; tried, refused (by constraints, triggers, locks); changed: keys of the view that
--              changed; missed: those to which no source leads; example: one of them. If something could not be tried, change says so
--   Notes      One change at a time, so that one way cannot hide that another is missing. The whole view is evaluated twice for each.
--              Rows are chosen at random from the seed, so the same call on the same rows repeats the same attempts. Constraints are
--              checked at once, deferred ones too. Only sequences keep their new values.
--   Locks      the advisory lock of the view, so that no merge runs meanwhile; the locks of each change until it is rolled back. It waits a
--              second at most for them, unless lock_timeout is set
--   Raises     TL001, TL005, TL015 (a merge is running), TL018
--   Used by    the owner of the schema, on a copy or in production. It takes max_time and one attempt at most
CREATE OR REPLACE FUNCTION tally.rehearse(name text, rows integer DEFAULT 50, seed double precision DEFAULT 0.5, max_time interval DEFAULT '30 seconds')
RETURNS TABLE (source regclass, change text, tried bigint, refused bigint, changed bigint, missed bigint, example text) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT * FROM tally.rehearse_by_name(tally.called(name, pg_catalog.current_schemas(true)), rows, seed, max_time);
EXCEPTION WHEN insufficient_privilege THEN
    PERFORM tally.fail_denied(name, SQLERRM);
END
$$;
COMMENT ON FUNCTION tally.rehearse(text, integer, double precision, interval) IS 'a proof by trial, rolled back: whether every key that changes is named';

-- tally.rehearse_by_name: the same, whatever the caller's search_path.
CREATE OR REPLACE FUNCTION tally.rehearse_by_name(name text, rows integer, seed double precision, max_time interval)
RETURNS TABLE (source regclass, change text, tried bigint, refused bigint, changed bigint, missed bigint, example text) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    v tally.derived_view;
    c record;
    r record;
    statement text;
    started   timestamptz := clock_timestamp();
BEGIN
    IF rows IS NULL OR rows < 1 OR seed IS NULL OR seed NOT BETWEEN -1 AND 1 OR max_time IS NULL THEN
        PERFORM tally.fail('TL018', format('rehearse was asked for %s rows with seed %s in %s; it takes at least one row, a seed from -1 to 1, and a time.',
            coalesce(rows::text, 'NULL'), coalesce(seed::text, 'NULL'), coalesce(max_time::text, 'NULL')));
    END IF;
    v := tally.lock_rehearsed(name);
    PERFORM setseed(rehearse_by_name.seed);
    FOR c IN SELECT * FROM tally.rehearsals(v, rehearse_by_name.rows) LOOP
        source := c.relation; change := c.change; tried := 0; refused := 0; changed := 0; missed := 0; example := NULL;
        FOREACH statement IN ARRAY c.statements LOOP
            IF clock_timestamp() > started + max_time THEN
                change := format('%s: %s of %s not tried, out of time', c.change, cardinality(c.statements) - tried, cardinality(c.statements));
                EXIT;
            END IF;
            SELECT * INTO r FROM tally.try_change(v, statement);
            tried := tried + 1;
            refused := refused + r.refused::integer;
            changed := changed + r.changed;
            missed := missed + r.missed;
            example := coalesce(example, r.example);
        END LOOP;
        RETURN NEXT;
    END LOOP;
END
$$;

-- tally.rehearse: the same for one statement: the keys that it would enqueue, and those that it would change.
--   Parameters statement: an INSERT, UPDATE, DELETE, MERGE or TRUNCATE, or a call of a function that writes
--   Returns    rows: what 'delta rows', 'keys named', 'keys changed', 'keys missed' with their count; then, for at most 100 keys, 'changed' or 'missed': key,
--              count: how many of its rows differ; before, after: those rows of the definition
--   Locks      as the other one; an error in the statement is raised
--   Raises     TL001, TL005, TL015, TL018
CREATE OR REPLACE FUNCTION tally.rehearse(name text, statement text)
RETURNS TABLE (what text, key jsonb, count bigint, before jsonb, after jsonb) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT * FROM tally.rehearse_statement(tally.called(name, pg_catalog.current_schemas(true)), statement, pg_catalog.current_setting('search_path'));
EXCEPTION WHEN insufficient_privilege THEN
    PERFORM tally.fail_denied(name, SQLERRM);
END
$$;
COMMENT ON FUNCTION tally.rehearse(text, text) IS 'one statement, rolled back: what it would enqueue, which keys, what would change';

-- tally.rehearse_statement: the same, whatever the caller's search_path (path), with which the statement runs.
CREATE OR REPLACE FUNCTION tally.rehearse_statement(name text, statement text, path text)
RETURNS TABLE (what text, key jsonb, count bigint, before jsonb, after jsonb) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
#variable_conflict use_column
DECLARE
    v      tally.derived_view;
    seen   text[];
    report jsonb;
    made_of text;
BEGIN
    IF statement IS NULL OR btrim(statement) = '' THEN
        PERFORM tally.fail('TL018', 'rehearse was given no statement.', 'Give it an INSERT, UPDATE, DELETE, MERGE or TRUNCATE, or a call of a function that writes.');
    END IF;
    v := tally.lock_rehearsed(name);
    made_of := tally.made_of(v);
    BEGIN
        seen := tally.begin_trial(v);
        PERFORM tally.run_rehearsed(path, statement);
        IF made_of <> tally.made_of(v) THEN
            PERFORM tally.fail('TL018', format('The statement changes tables or views that %s is made of, not only rows.', tally.part(v)),
                'Give it an INSERT, UPDATE, DELETE, MERGE or TRUNCATE. Try a migration on a copy, and call tally.merge and tally.verify after it.');
        END IF;
        report := tally.trial_report(v, seen);
        RAISE EXCEPTION USING ERRCODE = 'TLZZZ', MESSAGE = 'rolled back';
    EXCEPTION WHEN SQLSTATE 'TLZZZ' THEN NULL;
    END;
    RETURN QUERY SELECT x.what, x.key, x.count, x.before, x.after FROM jsonb_to_recordset(report) AS x(i integer, what text, key jsonb, count bigint, before jsonb, after jsonb) ORDER BY x.i;
END
$$;

-- tally.run_rehearsed: run a statement with a search_path.
--   Raises     TL018 if it cannot run inside a transaction: COMMIT (also in a procedure), VACUUM, COPY from a client
CREATE OR REPLACE FUNCTION tally.run_rehearsed(path text, statement text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
BEGIN
    PERFORM tally.run_in(path, statement);
EXCEPTION WHEN feature_not_supported OR active_sql_transaction OR invalid_transaction_termination OR undefined_parameter THEN
    PERFORM tally.fail('TL018', format('rehearse cannot run this statement inside its own transaction: %s.', left(statement, 200)),
        'Give it an INSERT, UPDATE, DELETE, MERGE or TRUNCATE without parameters, or a call of a function that writes.');
END
$$;

-- tally.made_of: a digest of the tables and views that a projection is made of: their names, columns, queries, partitions and triggers.
CREATE OR REPLACE FUNCTION tally.made_of(v tally.derived_view)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    WITH RECURSIVE part(oid) AS (
        SELECT u FROM tally.fingerprint f, unnest(f.relations) u WHERE f.view_id = v.id
        UNION SELECT m.relation::oid FROM tally.made m WHERE m.view_id = v.id
        UNION SELECT i.inhrelid FROM part p JOIN pg_inherits i ON i.inhparent = p.oid)
    SELECT md5(concat((SELECT string_agg(concat_ws(' ', c.oid, c.relname, c.relnamespace, c.relkind), ',' ORDER BY c.oid) FROM pg_class c WHERE c.oid IN (SELECT p.oid FROM part p)),
        (SELECT string_agg(concat_ws(' ', a.attrelid, a.attnum, a.attname, a.atttypid, a.attisdropped), ',' ORDER BY a.attrelid, a.attnum) FROM pg_attribute a WHERE a.attrelid IN (SELECT p.oid FROM part p) AND a.attnum > 0),
        (SELECT string_agg(md5(r.ev_action::text), ',' ORDER BY r.oid) FROM pg_rewrite r WHERE r.ev_class IN (SELECT p.oid FROM part p)),
        (SELECT string_agg(concat_ws(' ', i.inhrelid, i.inhparent), ',' ORDER BY i.inhrelid, i.inhparent) FROM pg_inherits i WHERE i.inhparent IN (SELECT p.oid FROM part p)),
        (SELECT string_agg(concat_ws(' ', t.oid, t.tgenabled), ',' ORDER BY t.oid) FROM pg_trigger t WHERE t.tgrelid IN (SELECT p.oid FROM part p))))
$$;

-- tally.lock_rehearsed: a projection for tally.rehearse, with its advisory lock held.
--   Locks      the advisory lock, for which it waits a second at most, unless lock_timeout is set
--   Raises     TL005, TL015
CREATE OR REPLACE FUNCTION tally.lock_rehearsed(name text)
RETURNS tally.derived_view LANGUAGE plpgsql AS $$
DECLARE
    patience text := current_setting('lock_timeout');
    v        tally.derived_view;
BEGIN
    BEGIN
        PERFORM set_config('lock_timeout', CASE WHEN patience IN ('0', '0ms') THEN '1s' ELSE patience END, true);
        v := tally.lock_root(name);
        PERFORM set_config('lock_timeout', patience, true);
    EXCEPTION WHEN lock_not_available THEN
        PERFORM tally.fail('TL015', format('%s is being merged, and a rehearsal waits for that only a second.', name), 'Call it again when the merge has ended, or raise lock_timeout.');
    END;
    IF v.kind <> 'projection' OR v.state = 'defined' THEN
        PERFORM tally.fail('TL005', format('%s is no active projection, so there is nothing to rehearse.', tally.part(v)));
    END IF;
    RETURN v;
END
$$;

-- tally.rehearsals: the changes to try: a statement for each chosen row and each column that the definition reads, a deletion, a copy.
CREATE OR REPLACE FUNCTION tally.rehearsals(v tally.derived_view, rows integer)
RETURNS TABLE (relation regclass, change text, statements text[]) LANGUAGE plpgsql AS $$
DECLARE
    s     tally.source;
    col   record;
    must  text[];
    place text[];
    ways  jsonb := (SELECT jsonb_object_agg(d.source::oid, jsonb_build_object('columns', d.columns, 'expand', d.expand)) FROM tally.derive(v.definition, v.key, tally.part(v)) d);
BEGIN
    RETURN QUERY SELECT tally.materialized_now(m), 'not tried: it is assumed static', '{}'::text[] FROM tally.materialized_view m WHERE m.view_id = v.id AND m.role = 'static';
    FOR s IN SELECT * FROM tally.source x WHERE x.projection_id = v.id ORDER BY x.ordinal LOOP
        relation := s.relation;
        statements := '{}';
        must := tally.rows_of_ways(s.relation, rows, ways -> s.relation::oid::text);
        place := tally.random_rows(s.relation, rows, must);
        IF s.columns IS NULL THEN
            change := 'not tried: it is assumed static';
            RETURN NEXT;
            CONTINUE;
        ELSIF place = '{}' THEN
            change := 'not tried: it has no row';
            RETURN NEXT;
            CONTINUE;
        END IF;
        FOR col IN SELECT a.attname, a.attgenerated <> '' AS generated, a.attidentity = 'a' AS by_identity, a.attnotnull, a.atttypid IN ('text'::regtype, 'varchar'::regtype) AS is_text
                   FROM unnest(tally.columns_used(v.definition, s.relation)) c JOIN pg_attribute a ON a.attrelid = s.relation AND a.attname = c ORDER BY a.attnum LOOP
            change := format('UPDATE of %I', col.attname);
            IF col.generated OR col.by_identity THEN
                change := change || ': not tried, its values are generated';
                statements := '{}';
                RETURN NEXT;
                CONTINUE;
            END IF;
            place := tally.random_rows(s.relation, rows, must);
            statements := ARRAY(SELECT format('UPDATE %1$s SET %2$I = (SELECT o.%2$I FROM %1$s o WHERE o.%2$I::text IS DISTINCT FROM %1$s.%2$I::text ORDER BY random() LIMIT 1) WHERE %3$s', s.relation, col.attname, p) FROM unnest(place) p)
                || CASE WHEN col.attnotnull THEN '{}' ELSE ARRAY(SELECT format('UPDATE %s SET %I = NULL WHERE %s', s.relation, col.attname, p) FROM unnest(place[:1 + rows / 10]) p) END;
            RETURN NEXT;
            IF col.is_text THEN
                change := format('UPDATE of %I, a new value', col.attname);
                statements := ARRAY(SELECT format('UPDATE %1$s SET %2$I = concat(%2$I, ''~'') WHERE %3$s', s.relation, col.attname, p) FROM unnest(place) p);
                RETURN NEXT;
            END IF;
        END LOOP;
        change := 'DELETE';
        statements := ARRAY(SELECT format('DELETE FROM %s WHERE %s', s.relation, p) FROM unnest(tally.random_rows(s.relation, rows, must)) p);
        RETURN NEXT;
        change := 'INSERT of a copy';
        statements := ARRAY(SELECT tally.sql_copy(s.relation, p) FROM unnest(tally.random_rows(s.relation, rows, must)) p);
        RETURN NEXT;
    END LOOP;
END
$$;

-- tally.rows_of_ways: conditions that each select one row of a table, so that half of n rows are spread over the derived ways. Else a way that
-- few rows take, that of the persons who lead others, say, might not be tried. Only of tables of up to 100,000 rows, and of 1,000 of their rows.
--   Parameters derived: columns and expand of the table, as of tally.derive
CREATE OR REPLACE FUNCTION tally.rows_of_ways(relation regclass, n integer, derived jsonb)
RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    cols name[] := ARRAY(SELECT jsonb_array_elements_text(derived -> 'columns'));
    ways text[] := regexp_split_to_array(derived ->> 'expand', E'\nUNION ALL\n');
    way  text;
    part text[];
    made text[] := '{}';
BEGIN
    IF cardinality(ways) > 1 AND (SELECT sum(c.reltuples) FROM pg_class c WHERE c.oid IN (SELECT p.relid FROM pg_partition_tree(relation) p UNION SELECT relation)) <= 100000 THEN
        FOREACH way IN ARRAY ways LOOP
            EXECUTE format('SELECT array_agg(format(''tableoid = %%s AND ctid = %%L'', t.tableoid::oid, t.ctid)) FROM (SELECT r.tableoid, r.ctid FROM (SELECT tableoid, ctid, %2$s FROM %1$s ORDER BY random() LIMIT 1000) r '
                || 'WHERE EXISTS (WITH changed AS (SELECT %3$s) %4$s) LIMIT %5$s) t', relation, tally.column_list(cols), tally.column_list(cols, 'r.'), way, greatest(n / 2 / cardinality(ways), 1)) INTO part;
            made := made || ARRAY(SELECT p FROM unnest(part) p WHERE p <> ALL (made));
        END LOOP;
    END IF;
    RETURN made;
END
$$;

-- tally.random_rows: the same of n rows: those that have to be among them, and others at random.
CREATE OR REPLACE FUNCTION tally.random_rows(relation regclass, n integer, must text[])
RETURNS text[] LANGUAGE plpgsql AS $$
BEGIN
    RETURN (must || ARRAY(SELECT r FROM unnest(tally.random_rows(relation, n)) WITH ORDINALITY u(r, i) WHERE r <> ALL (must) ORDER BY i))[:n];
END
$$;

-- tally.random_rows: conditions that each select one row of a table, chosen at random. Of a large table only some pages are sampled.
CREATE OR REPLACE FUNCTION tally.random_rows(relation regclass, n integer)
RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    made text[];
    size float8 := (SELECT sum(c.reltuples) FROM pg_class c WHERE c.oid IN (SELECT p.relid FROM pg_partition_tree(relation) p UNION SELECT relation));
BEGIN
    IF size > 100000 THEN
        EXECUTE format('SELECT array_agg(format(''tableoid = %%s AND ctid = %%L'', t.tableoid::oid, t.ctid)) FROM (SELECT tableoid, ctid FROM %s TABLESAMPLE SYSTEM (%s) REPEATABLE (%s) ORDER BY random() LIMIT %s) t',
            relation, least(100, n * 10000 / size), (random() * 1e6)::integer, n) INTO made;
    END IF;
    IF made IS NULL OR cardinality(made) < n THEN
        EXECUTE format('SELECT array_agg(format(''tableoid = %%s AND ctid = %%L'', t.tableoid::oid, t.ctid)) FROM (SELECT tableoid, ctid FROM %s ORDER BY random() LIMIT %s) t', relation, n) INTO made;
    END IF;
    RETURN coalesce(made, '{}');
END
$$;

-- tally.sql_copy: INSERT of a copy of a row. Unique columns get other values, so that most copies are accepted: the default if there is one, a
-- value of the referenced table for a foreign key, one more than the highest number, a longer text.
CREATE OR REPLACE FUNCTION tally.sql_copy(relation regclass, place text)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    WITH col AS (
        SELECT a.attnum, quote_ident(a.attname) AS name, a.atttypid AS type, a.atthasdef OR a.attidentity <> '' AS made,
               EXISTS (SELECT FROM pg_index x WHERE x.indrelid = relation AND x.indisunique AND a.attnum = ANY (x.indkey)) AS is_unique,
               (SELECT format('(SELECT f.%I FROM %s f ORDER BY random() LIMIT 1)', f.attname, k.confrelid::regclass) FROM pg_constraint k JOIN pg_attribute f ON f.attrelid = k.confrelid AND f.attnum = k.confkey[1]
                WHERE k.conrelid = relation AND k.contype = 'f' AND k.conkey = ARRAY[a.attnum] LIMIT 1) AS referred
        FROM pg_attribute a WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    ), kept AS (
        SELECT attnum, name, CASE WHEN NOT is_unique THEN 't.' || name WHEN referred IS NOT NULL THEN referred
            WHEN type IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype) THEN format('(SELECT max(m.%s) + 1 FROM %s m)', name, relation)
            WHEN type IN ('text'::regtype, 'varchar'::regtype) THEN format('concat(t.%s, ''~'', (random() * 1e6)::integer)', name)
            WHEN type = 'uuid'::regtype THEN 'gen_random_uuid()' ELSE 't.' || name END AS value
        FROM col WHERE NOT (is_unique AND made)
    )
    SELECT CASE WHEN count(*) = 0 THEN format('INSERT INTO %s DEFAULT VALUES', relation)
        ELSE format('INSERT INTO %1$s (%2$s) OVERRIDING SYSTEM VALUE SELECT %3$s FROM (SELECT * FROM %1$s WHERE %4$s) t', relation, string_agg(name, ', ' ORDER BY attnum), string_agg(value, ', ' ORDER BY attnum), place) END
    FROM kept
$$;

-- tally.begin_trial: prepare a trial: remove what is pending, because it would hide missed keys; read the view; check constraints at once.
--   Returns    the view's rows, as text
CREATE OR REPLACE FUNCTION tally.begin_trial(v tally.derived_view)
RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    seen text[];
BEGIN
    IF current_setting('lock_timeout') IN ('0', '0ms') THEN
        PERFORM set_config('lock_timeout', '1s', true);
    END IF;
    SET CONSTRAINTS ALL IMMEDIATE;
    EXECUTE format('DELETE FROM %s', tally.part(v, '_delta'));
    EXECUTE format('SELECT coalesce(array_agg(d.*::text), ''{}'') FROM %s d', v.definition) INTO seen;
    RETURN seen;
END
$$;

-- tally.sql_touched: a WITH list that compares the view with $1, its rows before the change. gone, come: the rows that are only there before or
-- after it; touched: their keys; named: the keys to which the sources lead; missed: touched and not named.
CREATE OR REPLACE FUNCTION tally.sql_touched(v tally.derived_view)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format($q$seen AS MATERIALIZED (SELECT d.*::text AS image FROM %2$s d),
        gone AS MATERIALIZED (SELECT (x.image::%2$s).* FROM (SELECT unnest($1) AS image EXCEPT ALL TABLE seen) x),
        come AS MATERIALIZED (SELECT (x.image::%2$s).* FROM (TABLE seen EXCEPT ALL SELECT unnest($1)) x),
        touched AS MATERIALIZED (SELECT %1$s FROM gone UNION SELECT %1$s FROM come),
        named AS MATERIALIZED (SELECT DISTINCT %1$s FROM %3$s() WHERE EXISTS (SELECT FROM touched) OR $2),
        missed AS MATERIALIZED (SELECT * FROM touched EXCEPT SELECT * FROM named)$q$, tally.column_list(v.key), v.definition, tally.part(v, '_pending'))
$$;

-- tally.try_change: run a statement and roll it back: which keys of the view changed, and did the sources lead to them?
--   Returns    refused: a constraint, a trigger or a lock prevented it, or the view cannot be evaluated after it
CREATE OR REPLACE FUNCTION tally.try_change(v tally.derived_view, statement text, OUT refused boolean, OUT changed bigint, OUT missed bigint, OUT example text) LANGUAGE plpgsql SET jit = off AS $$
DECLARE
    key  text;
    seen text[];
BEGIN
    refused := false; changed := 0; missed := 0; example := NULL;
    BEGIN
        seen := tally.begin_trial(v);
        EXECUTE statement;
        EXECUTE format('WITH %s SELECT (SELECT count(*) FROM touched) AS changed, (SELECT count(*) FROM missed) AS missed, (SELECT m.*::text FROM missed m LIMIT 1) AS key', tally.sql_touched(v)) INTO changed, missed, key USING seen, false;
        example := CASE WHEN missed > 0 THEN format('key %s: %s', key, statement) END;
        RAISE EXCEPTION USING ERRCODE = 'TLZZZ', MESSAGE = 'rolled back';
    EXCEPTION
        WHEN SQLSTATE 'TLZZZ' THEN NULL;
        WHEN operator_intervention OR insufficient_resources OR transaction_rollback OR internal_error OR system_error THEN RAISE;
        WHEN OTHERS THEN refused := true;
    END;
END
$$;

-- tally.trial_report: the report of tally.rehearse about one statement. It is jsonb, because it has to survive the rollback of the trial.
CREATE OR REPLACE FUNCTION tally.trial_report(v tally.derived_view, seen text[])
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    made jsonb;
BEGIN
    EXECUTE format($q$WITH %1$s,
        each AS (SELECT to_jsonb(t.*) AS key, EXISTS (SELECT %2$s INTERSECT SELECT * FROM missed) AS is_missed,
                        (SELECT jsonb_agg(to_jsonb(g.*)) FROM gone g WHERE (%3$s) IS NOT DISTINCT FROM (%2$s)) AS before, (SELECT jsonb_agg(to_jsonb(c.*)) FROM come c WHERE (%4$s) IS NOT DISTINCT FROM (%2$s)) AS after
                 FROM (SELECT * FROM missed UNION SELECT * FROM (SELECT * FROM touched LIMIT 100) x LIMIT 100) t)
        SELECT jsonb_build_array(
            jsonb_build_object('i', 1, 'what', 'delta rows', 'count', (SELECT count(*) FROM %5$s)), jsonb_build_object('i', 2, 'what', 'keys named', 'count', (SELECT count(*) FROM named)),
            jsonb_build_object('i', 3, 'what', 'keys changed', 'count', (SELECT count(*) FROM touched)), jsonb_build_object('i', 4, 'what', 'keys missed', 'count', (SELECT count(*) FROM missed)))
            || coalesce((SELECT jsonb_agg(jsonb_build_object('i', 5, 'what', CASE WHEN is_missed THEN 'missed' ELSE 'changed' END, 'key', key,
                    'count', greatest(coalesce(jsonb_array_length(before), 0), coalesce(jsonb_array_length(after), 0)), 'before', before, 'after', after) ORDER BY NOT is_missed, key) FROM each), '[]')$q$,
        tally.sql_touched(v), tally.column_list(v.key, 't.'), tally.column_list(v.key, 'g.'), tally.column_list(v.key, 'c.'), tally.part(v, '_delta')) INTO made USING seen, true;
    RETURN made;
END
$$;
