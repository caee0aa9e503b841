-- A test that no derived watch misses a key. It has hard views over tables with NULLs, and random transactions on these tables. For each
-- transaction it checks whether the keys whose rows changed are among those that the derived queries return. These queries run after
-- the transaction and only get the old and new values of the watched columns.
--   fuzz.setup()                     derives what to watch for every view
--   fuzz.trial(seed)                 a random state, a random transaction; a row per view that changed, and how many keys were missed
--   fuzz.sabotage(view, source, …)   replaces a derived expand by another one, to check that this is detected
-- Needs the engine. Used by DeriveFuzzTest; by hand: SELECT fuzz.setup(); SELECT * FROM fuzz.run(1, 10000);
DROP SCHEMA IF EXISTS fuzz CASCADE;
CREATE SCHEMA fuzz;
SET search_path = fuzz, pg_catalog;

CREATE TABLE a (id int PRIMARY KEY, x int, y int, g int);
CREATE TABLE b (id int PRIMARY KEY, x int, a_id int, c_id int);
CREATE TABLE c (id int PRIMARY KEY, v int, x int, b_id int);
CREATE TABLE d (id int PRIMARY KEY, name text, tags int[], doc jsonb, at timestamp, a_id int NOT NULL, n numeric);
CREATE TABLE p (id int, k int, x int, b_id int, PRIMARY KEY (id, k)) PARTITION BY LIST (k);
CREATE TABLE p_1 PARTITION OF p FOR VALUES IN (1, 2);
CREATE TABLE p_2 PARTITION OF p DEFAULT;

CREATE TABLE definition (name text PRIMARY KEY, key name[], query text);
CREATE TABLE source (name text, relation regclass, columns name[], expand text, reach text, why text, PRIMARY KEY (name, relation));
CREATE TABLE miss (at timestamptz DEFAULT clock_timestamp(), seed bigint, name text, keys bigint, statements text);

\ir views.sql

-- log_<table>: every old and new row of a table, in this trial.
DO $log$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY '{a,b,c,d,p}'::text[] LOOP
        EXECUTE format('CREATE TABLE fuzz.log_%1$s (LIKE fuzz.%1$s)', t);
        EXECUTE format('CREATE FUNCTION fuzz.note_%1$s() RETURNS trigger LANGUAGE plpgsql SET search_path = fuzz, pg_catalog AS $f$BEGIN
            IF TG_OP <> ''INSERT'' THEN INSERT INTO log_%1$s SELECT (OLD).*; END IF;
            IF TG_OP <> ''DELETE'' THEN INSERT INTO log_%1$s SELECT (NEW).*; END IF; RETURN NULL; END$f$', t);
        EXECUTE format('CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON fuzz.%1$s FOR EACH ROW EXECUTE FUNCTION fuzz.note_%1$s()', t);
    END LOOP;
END
$log$;

-- fuzz.setup: makes the views, tables for their previous contents, and the derived watches. old_<name> plays the part of the stored table.
CREATE FUNCTION setup() RETURNS void LANGUAGE plpgsql SET search_path = fuzz, pg_catalog SET jit = off AS $$
DECLARE
    d fuzz.definition;
BEGIN
    FOR d IN SELECT * FROM definition x ORDER BY starts_with(x.name, 'over_'), x.name LOOP

        EXECUTE format('CREATE OR REPLACE VIEW fuzz.v_%s AS %s', d.name, d.query);
        EXECUTE format('CREATE TABLE IF NOT EXISTS fuzz.old_%1$s AS TABLE fuzz.v_%1$s WITH NO DATA', d.name);
        DELETE FROM source s WHERE s.name = d.name;
        INSERT INTO source SELECT d.name, x.source, x.columns, x.expand, x.reach, x.why FROM tally.derive(format('fuzz.v_%s', d.name)::regclass, d.key, format('fuzz.old_%s', d.name)) x;
        PERFORM make_check(d);
    END LOOP;
END
$$;

-- fuzz.make_check: the function that finds the keys of a view that changed although no source leads to them.
CREATE FUNCTION make_check(d fuzz.definition) RETURNS void LANGUAGE plpgsql SET search_path = fuzz, pg_catalog AS $$
DECLARE
    key   text := (SELECT string_agg(quote_ident(k), ', ') FROM unnest(d.key) k);
    named text := (SELECT string_agg(format(E'(WITH changed AS (SELECT DISTINCT %1$s FROM %2$s) SELECT * FROM (%3$s) q)',
                       (SELECT string_agg(quote_ident(c), ', ') FROM unnest(s.columns) c), 'fuzz.log_' || (SELECT relname FROM pg_class WHERE oid = s.relation),
                       coalesce(s.expand, 'TABLE changed')), ' UNION ALL ') FROM source s WHERE s.name = d.name);
BEGIN
    EXECUTE format($f$CREATE OR REPLACE FUNCTION fuzz.check_%1$s(OUT changed bigint, OUT missed bigint) LANGUAGE sql SET search_path = fuzz, pg_catalog AS $b$
        WITH gone AS MATERIALIZED (TABLE fuzz.old_%1$s EXCEPT ALL TABLE fuzz.v_%1$s), come AS MATERIALIZED (TABLE fuzz.v_%1$s EXCEPT ALL TABLE fuzz.old_%1$s),
        touched AS MATERIALIZED (SELECT %2$s FROM gone UNION SELECT %2$s FROM come)
        SELECT (SELECT count(*) FROM touched), CASE WHEN NOT EXISTS (SELECT FROM touched) THEN 0 ELSE (SELECT count(*) FROM (SELECT %2$s FROM touched EXCEPT (%3$s)) x) END
    $b$ $f$, d.name, key, named);
    EXECUTE format('CREATE OR REPLACE FUNCTION fuzz.keep_%1$s() RETURNS void LANGUAGE sql AS $b$ DELETE FROM fuzz.old_%1$s; INSERT INTO fuzz.old_%1$s TABLE fuzz.v_%1$s $b$', d.name);
END
$$;

-- fuzz.value: a random value of a column.
CREATE FUNCTION value(col text) RETURNS text LANGUAGE plpgsql SET search_path = fuzz, pg_catalog AS $$
DECLARE
    n int := 1 + floor(random() * 5);
BEGIN
    RETURN CASE
        WHEN col IN ('k') THEN (n % 4 + 1)::text
        WHEN random() < 0.15 AND col <> 'a_id!' THEN 'NULL'
        WHEN col = 'name' THEN quote_literal((ARRAY['n1', 'N1', 'n2', 'm', 'k%'])[n])
        WHEN col = 'tags' THEN format('''{%s}''', (SELECT string_agg(CASE WHEN random() < 0.1 THEN 'NULL' ELSE (1 + floor(random() * 5))::text END, ',') FROM generate_series(1, n - 2)))
        WHEN col = 'doc' THEN quote_literal(format('{"a": %s, "l": [%s, %s], "t": "n%s"}', n, 1 + floor(random() * 5), n, n))
        WHEN col = 'at' THEN quote_literal(timestamp '2026-01-01' + (n || ' days')::interval + floor(random() * 3) * interval '7 hours')
        WHEN col = 'n' THEN (ARRAY['1', '1.0', '1.00', '2', '3.5'])[n]
        ELSE n::text END;
END
$$;

CREATE FUNCTION columns_of(t text) RETURNS text[] LANGUAGE sql AS $$
    SELECT CASE t WHEN 'a' THEN '{id,x,y,g}' WHEN 'b' THEN '{id,x,a_id,c_id}' WHEN 'c' THEN '{id,v,x,b_id}' WHEN 'd' THEN '{id,name,tags,doc,at,a_id!,n}' ELSE '{id,k,x,b_id}' END::text[]
$$;

CREATE FUNCTION row_of(t text, id int) RETURNS text LANGUAGE sql AS $$
    SELECT format('INSERT INTO fuzz.%s VALUES (%s) ON CONFLICT DO NOTHING', t, string_agg(CASE c WHEN 'id' THEN row_of.id::text ELSE fuzz.value(c) END, ', ' ORDER BY n))
    FROM unnest(fuzz.columns_of(t)) WITH ORDINALITY u(c, n)
$$;

-- fuzz.statement: a random statement.
CREATE FUNCTION statement() RETURNS text LANGUAGE plpgsql SET search_path = fuzz, pg_catalog AS $$
DECLARE
    t    text := (ARRAY['a', 'b', 'c', 'a', 'b', 'c', 'd', 'p'])[1 + floor(random() * 8)];
    cols text[] := columns_of(t);
    c    text := cols[2 + floor(random() * (cardinality(cols) - 1))];
    dice float := random();
BEGIN
    IF dice < 0.35 THEN
        RETURN row_of(t, 1 + floor(random() * 9)::int);
    ELSIF dice < 0.55 THEN
        RETURN format('DELETE FROM fuzz.%s WHERE id %% %s = %s', t, 2 + floor(random() * 4), floor(random() * 2));
    END IF;
    RETURN format('UPDATE fuzz.%s SET %s = %s WHERE %s = %s', t, rtrim(c, '!'), value(c), (ARRAY['id', CASE t WHEN 'd' THEN 'a_id' ELSE 'x' END])[1 + floor(random() * 2)],
                  1 + floor(random() * 5));
END
$$;

-- fuzz.trial: one random state and transaction.
CREATE FUNCTION trial(seed bigint) RETURNS TABLE (name text, changed bigint, missed bigint) LANGUAGE plpgsql SET search_path = fuzz, pg_catalog SET jit = off AS $$
DECLARE
    t    text;
    i    int;
    done text := '';
    s    text;
BEGIN
    PERFORM setseed((seed % 1000003) / 1000003.0);
    DELETE FROM a; DELETE FROM b; DELETE FROM c; DELETE FROM d; DELETE FROM p;
    FOREACH t IN ARRAY '{a,b,c,d,p}'::text[] LOOP
        FOR i IN 1 .. 9 LOOP
            IF random() < 0.55 THEN
                EXECUTE row_of(t, i);
            END IF;
        END LOOP;
    END LOOP;
    DELETE FROM log_a; DELETE FROM log_b; DELETE FROM log_c; DELETE FROM log_d; DELETE FROM log_p;
    FOR t IN SELECT d.name FROM definition d LOOP
        EXECUTE format('SELECT fuzz.keep_%s()', t);
    END LOOP;
    FOR i IN 1 .. 1 + floor(random() * 5)::int LOOP
        s := statement();
        BEGIN
            EXECUTE s;
            done := done || s || '; ';
        EXCEPTION WHEN unique_violation THEN  -- a row moved to a partition that has a row with the same id
            NULL;
        END;
    END LOOP;
    FOR name IN SELECT d.name FROM definition d ORDER BY d.name LOOP
        EXECUTE format('SELECT * FROM fuzz.check_%s()', name) INTO changed, missed;
        IF missed > 0 THEN
            INSERT INTO miss (seed, name, keys, statements) VALUES (trial.seed, trial.name, missed, done);
        END IF;
        IF changed > 0 THEN
            RETURN NEXT;
        END IF;
    END LOOP;
END
$$;

-- fuzz.run: many trials, with a commit after each.
CREATE PROCEDURE run(first bigint, trials bigint) LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    FOR n IN first .. first + trials - 1 LOOP
        PERFORM fuzz.trial(n);
        COMMIT;
    END LOOP;
END
$$;
