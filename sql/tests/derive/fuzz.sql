-- A test that no derived watch misses a key. It has hard views over tables with NULLs, and random transactions on these tables. After each
-- transaction it checks whether the keys whose rows changed are among those that the derived queries return. These queries run after
-- the transaction and only get the old and new values of the watched columns.
--   fuzz.setup()                       derives what to watch for every view
--   fuzz.try_alone(query, key)              adds one more view, and tries it alone
--   fuzz.trial(seed, number, views)    a random state, then that many random transactions; checks that many views after each
--   fuzz.run(first, trials, …)         trials with that many seeds, and a commit after each
--   fuzz.sabotaged(view, source, …)    replaces a derived expand by another one, to check that this is detected
--   fuzz.miss, fuzz.tried              tables: which keys were missed, and how much was tried
-- Needs the engine. Used by DeriveTest. By hand, a million transactions: SELECT fuzz.setup(), then in turn
--   CALL fuzz.run(1, 100, 40, 2); VACUUM; CALL fuzz.run(101, 100, 40, 2); VACUUM; … and in the end
--   TABLE fuzz.miss; SELECT sum(transactions), sum(changed) FROM fuzz.tried;
-- Autovacuum learns nothing of the dead rows of a call that does not end: one long call gets ten times as slow.
DROP SCHEMA IF EXISTS fuzz CASCADE;
CREATE SCHEMA fuzz;
SET search_path = fuzz, pg_catalog;

CREATE COLLATION folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE a (id int PRIMARY KEY, x int, y int, g int);
CREATE TABLE b (id int PRIMARY KEY, x int, a_id int, c_id int);
CREATE TABLE c (id int PRIMARY KEY, v int, x int, b_id int);
CREATE TABLE d (id int PRIMARY KEY, name text, tags int[], doc jsonb, at timestamp, a_id int NOT NULL, n numeric, code char(3));
CREATE TABLE p (id int, k int, x int, b_id int, PRIMARY KEY (id, k)) PARTITION BY LIST (k);
CREATE TABLE p_1 PARTITION OF p FOR VALUES IN (1, 2);
CREATE TABLE p_2 PARTITION OF p DEFAULT;

-- Types, functions and operators whose names or casts are easily confused with others.
CREATE EXTENSION IF NOT EXISTS citext SCHEMA fuzz;
CREATE DOMAIN word AS text;
CREATE FUNCTION spelled(word text) RETURNS text LANGUAGE sql IMMUTABLE STRICT AS 'SELECT lower(word)';
CREATE FUNCTION spelled(word word) RETURNS text LANGUAGE sql IMMUTABLE STRICT AS 'SELECT upper(word::text)';
CREATE FUNCTION like_varchar(a varchar, b varchar) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT a = b';
CREATE FUNCTION like_text(a text, b text) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT lower(a) = lower(b)';
CREATE OPERATOR ~~= (leftarg = varchar, rightarg = varchar, function = like_varchar);
CREATE OPERATOR ~~= (leftarg = text, rightarg = text, function = like_text);
CREATE FUNCTION half_lt(a int, b int) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT a / 2 < b / 2';
CREATE FUNCTION half_le(a int, b int) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT a / 2 <= b / 2';
CREATE FUNCTION half_eq(a int, b int) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT a / 2 = b / 2';
CREATE FUNCTION half_ge(a int, b int) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT a / 2 >= b / 2';
CREATE FUNCTION half_gt(a int, b int) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT a / 2 > b / 2';
CREATE FUNCTION half_cmp(a int, b int) RETURNS int LANGUAGE sql IMMUTABLE STRICT AS 'SELECT sign(a / 2 - b / 2)::int';
CREATE OPERATOR |<| (leftarg = int, rightarg = int, function = half_lt, commutator = |>|);
CREATE OPERATOR |<=| (leftarg = int, rightarg = int, function = half_le, commutator = |>=|);
CREATE OPERATOR |=| (leftarg = int, rightarg = int, function = half_eq, commutator = |=|, merges);
CREATE OPERATOR |>=| (leftarg = int, rightarg = int, function = half_ge, commutator = |<=|);
CREATE OPERATOR |>| (leftarg = int, rightarg = int, function = half_gt, commutator = |<|);
CREATE OPERATOR CLASS half_ops FOR TYPE int USING btree AS OPERATOR 1 |<|, OPERATOR 2 |<=|, OPERATOR 3 |=|, OPERATOR 4 |>=|, OPERATOR 5 |>|, FUNCTION 1 half_cmp(int, int);
CREATE TABLE odd (id int PRIMARY KEY, x int, word word, short varchar(12), net cidr, ct citext, cts citext[], folded text COLLATE folded);

CREATE TABLE definition (name text PRIMARY KEY, key name[], query text, tried boolean NOT NULL DEFAULT true);
CREATE TABLE source (name text, relation regclass, columns name[], expand text, reach text, why text, PRIMARY KEY (name, relation));
CREATE TABLE domain (col name PRIMARY KEY, vals text[]);   -- the values of a column; of others: 1 to 5
CREATE TABLE miss (at timestamptz DEFAULT clock_timestamp(), seed bigint, name text, keys bigint, statements text);
CREATE UNLOGGED TABLE tried (at timestamptz DEFAULT clock_timestamp(), transactions bigint, checks bigint, changed bigint);

\ir views.sql
\ir tpch.sql

INSERT INTO domain VALUES ('k', '{1,2,3,4}'), ('name', '{n1,N1,n2,m,k%}'), ('code', '{n1,n2,m,k%}'), ('word', '{Ab,ab,n1}'), ('short', '{AB,Ab,10.1/16,10.1.0.0/16,"n1 "}'), ('net', '{10.1.0.0/16,10.1.2.0/24}'), ('ct', '{Ab,ab,b}'), ('cts', '{"{}","{Ab}","{ab}","{ab,b}"}'), ('folded', '{Ab,ab,b}'),
    ('n', '{1,1.0,1.00,2,3.5}'), ('tags', '{"{}","{1}","{1,2}","{2,2,NULL}","{3,4,5}","{5,1,4}"}'),
    ('doc', '{"{\"a\": 1, \"l\": [1, 2], \"t\": \"n1\"}","{\"a\": 2, \"l\": [3, 3]}","{\"a\": 3, \"l\": [], \"t\": \"n3\"}","{\"l\": [5, 1], \"t\": \"n2\"}","{}"}'),
    ('at', '{2026-01-01,2026-01-01 07:00,2026-01-02,2026-01-03 14:00,2026-01-04}');

-- The tables with their columns, their primary keys, and about how many rows they have.
CREATE TABLE base AS
SELECT c.relname::text AS name, (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0) AS columns,
       (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) WHERE i.indrelid = c.oid AND i.indisprimary) AS key,
       (SELECT coalesce(array_agg(a.attname::text), '{}') FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND a.attnotnull) AS always,
       CASE c.relname WHEN 'lineitem' THEN 9 ELSE 5 END AS rows
FROM pg_class c WHERE c.relnamespace = 'fuzz'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname NOT IN ('definition', 'source', 'domain', 'miss', 'tried');

-- log_<table>: every old and new row of a table, in this transaction.
DO $log$
DECLARE
    t text;
BEGIN
    FOR t IN SELECT b.name FROM fuzz.base b LOOP
        EXECUTE format('CREATE UNLOGGED TABLE fuzz.log_%1$s (LIKE fuzz.%1$s)', t);
        EXECUTE format('CREATE FUNCTION fuzz.note_%1$s() RETURNS trigger LANGUAGE plpgsql SET search_path = fuzz, pg_catalog AS $f$BEGIN
            IF TG_OP <> ''INSERT'' THEN INSERT INTO log_%1$s SELECT (OLD).*; END IF;
            IF TG_OP <> ''DELETE'' THEN INSERT INTO log_%1$s SELECT (NEW).*; END IF; RETURN NULL; END$f$', t);
        EXECUTE format('CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON fuzz.%1$s FOR EACH ROW EXECUTE FUNCTION fuzz.note_%1$s()', t);
    END LOOP;
END
$log$;

-- fuzz.setup: makes the views, derives what to watch, and makes old_<name>, which stands for the stored rows.
--   Parameters derived: false makes only the views
CREATE FUNCTION setup(derived boolean DEFAULT true) RETURNS void LANGUAGE plpgsql SET search_path = fuzz, pg_catalog SET jit = off AS $$
DECLARE
    d fuzz.definition;
BEGIN
    FOR d IN SELECT * FROM definition x ORDER BY x.query ~ '\mv_\w', x.name LOOP
        EXECUTE format('CREATE OR REPLACE VIEW fuzz.v_%s AS %s', d.name, d.query);
        IF derived THEN
            PERFORM derive_watches(d);
        END IF;
    END LOOP;
END
$$;

-- fuzz.derive_watches: derives what to watch for a view, and makes old_<name>.
CREATE FUNCTION derive_watches(d fuzz.definition) RETURNS void LANGUAGE plpgsql SET search_path = fuzz, pg_catalog SET jit = off AS $$
BEGIN
    EXECUTE format('CREATE UNLOGGED TABLE IF NOT EXISTS fuzz.old_%1$s AS TABLE fuzz.v_%1$s WITH NO DATA', d.name);
    DELETE FROM source s WHERE s.name = d.name;
    INSERT INTO source SELECT d.name, x.source, x.columns, x.expand, x.reach, x.why FROM tally.derive(format('fuzz.v_%s', d.name)::regclass, d.key, format('fuzz.old_%s', d.name)) x;
    PERFORM make_check(d);
END
$$;

-- fuzz.try_alone: one more view, and none of the others is tried.
CREATE FUNCTION try_alone(query text, key name[]) RETURNS void LANGUAGE plpgsql SET search_path = fuzz, pg_catalog SET jit = off AS $$
DECLARE
    d fuzz.definition;
BEGIN
    UPDATE definition SET tried = false WHERE tried;
    DROP TABLE IF EXISTS fuzz.old_random; DROP VIEW IF EXISTS fuzz.v_random;
    DELETE FROM definition x WHERE x.name = 'random';
    INSERT INTO definition VALUES ('random', key, query) RETURNING * INTO d;
    EXECUTE format('CREATE VIEW fuzz.v_random AS %s', query);
    PERFORM derive_watches(d);
END
$$;

-- fuzz.make_check: two functions for a view. One copies its rows to old_<name>. The other finds keys whose rows differ from that and that no
-- derived query returns. They are in PL/pgSQL, which plans them once a session.
CREATE FUNCTION make_check(d fuzz.definition) RETURNS void LANGUAGE plpgsql SET search_path = fuzz, pg_catalog AS $$
DECLARE
    key     text := (SELECT string_agg(quote_ident(k), ', ') FROM unnest(d.key) k);
    named   text := (SELECT string_agg(format(E'(WITH changed AS (SELECT %1$s FROM %2$s) SELECT * FROM (%3$s) q)',
                         (SELECT string_agg(quote_ident(c), ', ') FROM unnest(s.columns) c), 'fuzz.log_' || (SELECT relname FROM pg_class WHERE oid = s.relation),
                         coalesce(s.expand, 'TABLE changed')), ' UNION ALL ') FROM source s WHERE s.name = d.name);
    touched text := format('WITH now AS MATERIALIZED (TABLE fuzz.v_%1$s) SELECT %2$s FROM (TABLE fuzz.old_%1$s EXCEPT ALL TABLE now) x UNION SELECT %2$s FROM (TABLE now EXCEPT ALL TABLE fuzz.old_%1$s) x', d.name, key);
BEGIN
    EXECUTE format($f$CREATE OR REPLACE FUNCTION fuzz.check_%1$s(OUT changed bigint, OUT missed bigint) LANGUAGE plpgsql SET search_path = fuzz, pg_catalog AS $b$
        BEGIN
            missed := 0;
            SELECT count(*) INTO changed FROM (%3$s) y;
            IF changed > 0 THEN
                SELECT count(*) INTO missed FROM (SELECT * FROM (%3$s) y EXCEPT (%2$s)) z;
            END IF;
        END $b$ $f$, d.name, coalesce(named, format('SELECT %s FROM fuzz.old_%s WHERE false', key, d.name)), touched);
    EXECUTE format('CREATE OR REPLACE FUNCTION fuzz.keep_%1$s() RETURNS void LANGUAGE plpgsql SET search_path = fuzz, pg_catalog AS $b$ BEGIN DELETE FROM fuzz.old_%1$s; INSERT INTO fuzz.old_%1$s TABLE fuzz.v_%1$s; END $b$', d.name);
END
$$;

-- fuzz.sabotaged: replaces the expand of a source. other is SQL that may use the derived expand.
CREATE FUNCTION sabotaged(view text, relation text, other text) RETURNS void LANGUAGE plpgsql SET search_path = fuzz, pg_catalog AS $$
BEGIN
    EXECUTE format('UPDATE fuzz.source SET expand = %s WHERE name = %L AND relation = %L::regclass', other, view, 'fuzz.' || relation);
    PERFORM make_check(d) FROM definition d WHERE d.name = view;
END
$$;

-- fuzz.value: a random value of a column.
CREATE FUNCTION value(col text, may_be_null boolean) RETURNS text LANGUAGE plpgsql SET search_path = fuzz, pg_catalog AS $$
DECLARE
    vals text[];
BEGIN
    SELECT d.vals INTO vals FROM domain d WHERE d.col = value.col;
    IF may_be_null AND random() < (CASE WHEN col LIKE '%\_%' AND vals IS NOT NULL THEN 0.05 ELSE 0.15 END) THEN  -- TPC-H joins many
        RETURN 'NULL';
    END IF;
    RETURN coalesce(quote_literal(vals[1 + floor(random() * cardinality(vals))::int]), (1 + floor(random() * 5)::int)::text);
END
$$;

-- fuzz.row_of: an INSERT of a random row.
CREATE FUNCTION row_of(t fuzz.base) RETURNS text LANGUAGE plpgsql SET search_path = fuzz, pg_catalog AS $$
DECLARE
    c    text;
    vals text[] := '{}';
BEGIN
    FOREACH c IN ARRAY t.columns LOOP
        vals := vals || CASE WHEN c = 'id' THEN (1 + floor(random() * 9)::int)::text ELSE value(c, c <> ALL (t.always)) END;
    END LOOP;
    RETURN format('INSERT INTO fuzz.%s VALUES (%s) ON CONFLICT DO NOTHING', t.name, array_to_string(vals, ', '));
END
$$;

-- fuzz.statement: a random statement.
CREATE FUNCTION statement(t fuzz.base) RETURNS text LANGUAGE plpgsql SET search_path = fuzz, pg_catalog AS $$
DECLARE
    c    text := t.columns[1 + floor(random() * cardinality(t.columns))::int];
    by_  text := CASE WHEN random() < 0.6 THEN t.key[1] ELSE t.columns[1 + floor(random() * cardinality(t.columns))::int] END;
    dice float := random();
BEGIN
    IF dice < 0.35 THEN
        RETURN row_of(t);
    ELSIF dice < 0.55 THEN
        RETURN format('DELETE FROM fuzz.%s WHERE %I %% %s = %s', t.name, t.key[1], 2 + floor(random() * 4)::int, floor(random() * 2)::int);
    END IF;
    RETURN format('UPDATE fuzz.%s SET %I = %s WHERE %I = %s', t.name, c, value(c, c <> ALL (t.always)), by_, value(by_, false));
END
$$;

-- fuzz.start: a random state.
CREATE FUNCTION start() RETURNS void LANGUAGE plpgsql SET search_path = fuzz, pg_catalog AS $$
DECLARE
    t fuzz.base;
BEGIN
    FOR t IN SELECT * FROM base ORDER BY name LOOP
        EXECUTE format('DELETE FROM fuzz.%s', t.name);
        FOR i IN 1 .. t.rows LOOP
            EXECUTE row_of(t);
        END LOOP;
        EXECUTE format('DELETE FROM fuzz.log_%s', t.name);
    END LOOP;
END
$$;

-- fuzz.transaction: runs one to five random statements on some tables, then checks some views.
--   Returns    changes: how many views have changed; missed: missed keys by view; statements: what was run
CREATE FUNCTION transaction(tables text[], views text[], OUT changes bigint, OUT missed jsonb, OUT statements text) LANGUAGE plpgsql SET search_path = fuzz, pg_catalog AS $$
DECLARE
    touched text[] := ARRAY(SELECT tables[1 + floor(random() * cardinality(tables))::int] FROM generate_series(1, 1 + floor(random() * 5)::int));
    t       text;
    s       text;
    r       record;
BEGIN
    changes := 0; missed := '{}'; statements := '';
    FOREACH t IN ARRAY touched LOOP
        s := statement(b) FROM base b WHERE b.name = t;
        BEGIN
            EXECUTE s;
            statements := statements || s || '; ';
        EXCEPTION WHEN unique_violation OR not_null_violation THEN
            NULL;
        END;
    END LOOP;
    FOREACH t IN ARRAY views LOOP
        EXECUTE format('SELECT * FROM fuzz.check_%s()', t) INTO r;
        IF r.changed > 0 THEN
            changes := changes + 1;
            missed := missed || CASE WHEN r.missed > 0 THEN jsonb_build_object(t, r.missed) ELSE '{}' END;
            EXECUTE format('SELECT fuzz.keep_%s()', t);
        END IF;
    END LOOP;
    FOREACH t IN ARRAY touched LOOP
        EXECUTE format('DELETE FROM fuzz.log_%s', t);
    END LOOP;
END
$$;

-- fuzz.trial: makes a random state and runs some transactions, mostly on tables that the chosen views read.
--   Parameters views: how many random views to check; NULL: all
CREATE FUNCTION trial(seed bigint, number integer DEFAULT 1, views integer DEFAULT NULL) RETURNS void LANGUAGE plpgsql SET search_path = fuzz, pg_catalog SET jit = off AS $$
DECLARE
    chosen text[];
    near   text[];
    every  text[] := ARRAY(SELECT b.name FROM base b ORDER BY b.name);
    n      text;
    r      record;
    done   text := '';
    total  bigint := 0;
BEGIN
    PERFORM setseed((seed % 1000003) / 1000003.0);
    PERFORM start();
    chosen := ARRAY(SELECT d.name FROM (SELECT x.name FROM definition x WHERE x.tried ORDER BY x.name) d ORDER BY random() LIMIT views);
    near := ARRAY(SELECT DISTINCT c.relname::text FROM source s JOIN pg_class c ON c.oid = s.relation WHERE s.name = ANY (chosen) ORDER BY 1);
    FOREACH n IN ARRAY chosen LOOP
        EXECUTE format('SELECT fuzz.keep_%s()', n);
    END LOOP;
    FOR i IN 1 .. number LOOP
        SELECT * INTO r FROM transaction(CASE WHEN near <> '{}' AND random() < 0.9 THEN near ELSE every END, chosen);
        done := done || r.statements || '-- ';
        total := total + r.changes;
        INSERT INTO miss (seed, name, keys, statements) SELECT seed, m.key, m.value::bigint, done FROM jsonb_each_text(r.missed) m;
    END LOOP;
    INSERT INTO tried (transactions, checks, changed) VALUES (number, number * cardinality(chosen), total);
END
$$;

-- fuzz.run: runs many trials, with a commit after each.
CREATE PROCEDURE run(first bigint, trials bigint, number integer DEFAULT 1, views integer DEFAULT NULL) LANGUAGE plpgsql AS $$
BEGIN
    FOR n IN first .. first + trials - 1 LOOP
        PERFORM fuzz.trial(n, number, views);
        COMMIT;
    END LOOP;
END
$$;
