-- What bench api needs: many small views, a change in one of them, and counters of the server.

CREATE SCHEMA bench;
CREATE EXTENSION pg_stat_statements SCHEMA bench;

-- bench.grow: keep views over small tables until there are so many projections.
CREATE FUNCTION bench.grow(projections int)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    there int := (SELECT count(*) FROM tally.due() d WHERE d.kind = 'projection');
BEGIN
    FOR n IN there + 1 .. projections LOOP
        EXECUTE format('CREATE TABLE bench.base_%s (id bigint PRIMARY KEY, amount int NOT NULL)', n);
        EXECUTE format('CREATE VIEW bench.double_%s_def AS SELECT id, amount * 2 AS amount FROM bench.base_%1$s', n);
        PERFORM tally.keep(format('bench.double_%s', n), format('bench.double_%s_def', n));
    END LOOP;
END
$$;

-- bench.pending: what is not merged yet. Snapshots wait for their hour.
CREATE FUNCTION bench.pending()
RETURNS bigint LANGUAGE sql AS $$ SELECT coalesce(sum(pending), 0)::bigint FROM tally.status WHERE kind = 'projection' $$;

-- bench.change: write a row to the source of one of the views that bench.grow made.
CREATE FUNCTION bench.change(n int, id bigint)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('INSERT INTO bench.base_%s VALUES ($1, 1)', n) USING id;
END
$$;

-- bench.is_merged: whether its stored view has that row.
CREATE FUNCTION bench.is_merged(n int, id bigint)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    found boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM bench.double_%s WHERE id = $1)', n) INTO found USING id;
    RETURN found;
END
$$;

-- bench.counters: what the server has done in this database so far: statements of clients, statements within functions, WAL that
-- statements have written, and all WAL.
CREATE FUNCTION bench.counters(OUT statements bigint, OUT nested bigint, OUT statement_wal numeric, OUT wal numeric)
LANGUAGE sql AS $$
    SELECT coalesce(sum(s.calls) FILTER (WHERE s.toplevel), 0), coalesce(sum(s.calls) FILTER (WHERE NOT s.toplevel), 0),
           coalesce(sum(s.wal_bytes), 0), pg_current_wal_insert_lsn() - '0/0'::pg_lsn
    FROM bench.pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid WHERE d.datname = current_database()
$$;

-- bench.busiest: the statements of clients since the last pg_stat_statements_reset, the most frequent first.
CREATE FUNCTION bench.busiest("limit" int)
RETURNS TABLE (calls bigint, ms float8, wal numeric, query text) LANGUAGE sql AS $$
    SELECT s.calls, s.total_exec_time, s.wal_bytes, left(regexp_replace(s.query, '\s+', ' ', 'g'), 110)
    FROM bench.pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
    WHERE d.datname = current_database() AND s.toplevel AND s.query !~ 'bench' ORDER BY s.calls DESC LIMIT $1
$$;

-- bench.add_runs: so many finished runs.
CREATE FUNCTION bench.add_runs(count int)
RETURNS void LANGUAGE sql AS $$
    INSERT INTO control.run (view, action, state, requested_at, started_at, finished_at, instance, result)
    SELECT 'bench.double_' || 3 + n % 200, CASE n % 10 WHEN 0 THEN 'verify' ELSE 'refresh' END, 'done', t, t, t + interval '1 s', 'bench',
           CASE n % 10 WHEN 0 THEN '{"agrees": true, "differences": 0, "rows": []}'::jsonb ELSE '{"outcome": "merged", "keys": 1, "changed": 1}' END
    FROM generate_series(1, count) n, LATERAL (SELECT now() - (count - n) * interval '1 s' AS t) x
$$;
