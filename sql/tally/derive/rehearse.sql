-- tally.rehearse: a proof by trial, rolled back: rows of each source get other rows' values, are deleted and come as copies; do the keys that
-- change in the view come from what is watched?
--   Parameters name: a declared projection; rows: tried at most of each source and column; seed: of the choice; max_time: after which nothing more is tried
--   Returns    a row per source and kind of change: source, change; tried, refused (by the user's constraints); changed: keys of the view that changed;
--              missed: those that no source names; example: one of them. What there was no time for says so in change; inserts are not tried
--   Notes      One change at a time, so that a missing way is not covered by another one's. For each, the whole view is evaluated: it takes no
--              more than as many evaluations as there are rows of its answer. Deferred constraints are not asked.
--   Locks      the advisory lock of the view, so that no merge runs meanwhile; those of the writes, until each is rolled back; lock_timeout 1 s unless set
--   Used by    the owner of the schema, on a copy or at a quiet hour
CREATE OR REPLACE FUNCTION tally.rehearse(name text, rows integer DEFAULT 50, seed double precision DEFAULT 0.5, max_time interval DEFAULT '30 seconds')
RETURNS TABLE (source regclass, change text, tried bigint, refused bigint, changed bigint, missed bigint, example text) LANGUAGE plpgsql AS $$
DECLARE
    v tally.derived_view := tally.lock_root(name);
    c record;
    r record;
    statement text;
    started   timestamptz := clock_timestamp();
BEGIN
    IF v.kind <> 'projection' OR v.state = 'defined' THEN
        PERFORM tally.fail('TL005', format('%s is no active projection, so there is nothing to rehearse.', tally.part(v)));
    END IF;
    PERFORM setseed(rehearse.seed);
    FOR c IN SELECT * FROM tally.rehearsals(v, rehearse.rows) LOOP
        source := c.relation; change := c.change; tried := 0; refused := 0; changed := 0; missed := 0; example := NULL;
        FOREACH statement IN ARRAY c.statements LOOP
            IF clock_timestamp() > started + max_time THEN
                change := c.change || ', out of time';
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
COMMENT ON FUNCTION tally.rehearse(text, integer, double precision, interval) IS 'a proof by trial, rolled back: whether every key that changes is named';

-- tally.rehearsals: the changes that are tried: a statement for each row and each column that the definition reads, each deletion, each copy.
CREATE OR REPLACE FUNCTION tally.rehearsals(v tally.derived_view, rows integer)
RETURNS TABLE (relation regclass, change text, statements text[]) LANGUAGE plpgsql AS $$
DECLARE
    s    tally.source;
    col  name;
    tids tid[];
BEGIN
    FOR s IN SELECT * FROM tally.source x WHERE x.projection_id = v.id AND x.columns IS NOT NULL ORDER BY x.ordinal LOOP
        relation := s.relation;
        FOREACH col IN ARRAY tally.columns_used(v.definition, s.relation) LOOP
            EXECUTE format('SELECT array_agg(t.ctid) FROM (SELECT ctid FROM %s ORDER BY random() LIMIT %s) t', s.relation, rows) INTO tids;
            change := format('UPDATE of %I', col);
            SELECT array_agg(format('UPDATE %1$s SET %2$I = (SELECT o.%2$I FROM %1$s o WHERE o.%2$I::text IS DISTINCT FROM %1$s.%2$I::text ORDER BY random() LIMIT 1) WHERE ctid = %3$L', s.relation, col, t)) INTO statements FROM unnest(tids) t;
            CONTINUE WHEN statements IS NULL OR (SELECT a.attgenerated <> '' OR a.attidentity = 'a' FROM pg_attribute a WHERE a.attrelid = s.relation AND a.attname = col);
            RETURN NEXT;
            IF (SELECT a.atttypid IN ('text'::regtype, 'varchar'::regtype) FROM pg_attribute a WHERE a.attrelid = s.relation AND a.attname = col) THEN
                change := format('UPDATE of %I, a new value', col);
                SELECT array_agg(format('UPDATE %1$s SET %2$I = concat(%2$I, ''~'') WHERE ctid = %3$L', s.relation, col, t)) INTO statements FROM unnest(tids) t;
                RETURN NEXT;
            END IF;
        END LOOP;
        EXECUTE format('SELECT array_agg(t.ctid) FROM (SELECT ctid FROM %s ORDER BY random() LIMIT %s) t', s.relation, rows) INTO tids;
        change := 'DELETE';
        SELECT array_agg(format('DELETE FROM %s WHERE ctid = %L', s.relation, t)) INTO statements FROM unnest(tids) t;
        CONTINUE WHEN statements IS NULL;
        RETURN NEXT;
    END LOOP;
END
$$;

-- tally.try_change: a statement, rolled back: which keys of the view changed, and were they named?
CREATE OR REPLACE FUNCTION tally.try_change(v tally.derived_view, statement text, OUT refused boolean, OUT changed bigint, OUT missed bigint, OUT example text) LANGUAGE plpgsql AS $$
DECLARE
    key       text := tally.column_list(v.key);
    found     record;
BEGIN
    refused := false; changed := 0; missed := 0; example := NULL;
    BEGIN
        PERFORM set_config('lock_timeout', '1s', true) WHERE current_setting('lock_timeout') = '0';
        EXECUTE format('DELETE FROM %s', tally.part(v, '_delta'));   -- what is pending already would cover what is missed
        EXECUTE format('CREATE TEMP TABLE tally_before ON COMMIT DROP AS SELECT * FROM %s', v.definition);
        EXECUTE statement;
        EXECUTE format($q$
            WITH b AS (SELECT %1$s, d::text AS image FROM pg_temp.tally_before d), a AS (SELECT %1$s, d::text AS image FROM %2$s d),
            touched AS (SELECT %1$s FROM (TABLE b EXCEPT ALL TABLE a) x UNION SELECT %1$s FROM (TABLE a EXCEPT ALL TABLE b) x),
            unnamed AS (SELECT * FROM touched EXCEPT SELECT %1$s FROM %3$s())
            SELECT (SELECT count(*) FROM touched) AS changed, (SELECT count(*) FROM unnamed) AS missed, (SELECT u::text FROM unnamed u LIMIT 1) AS key$q$,
            key, v.definition, tally.part(v, '_pending')) INTO found;
        changed := found.changed; missed := found.missed;
        example := CASE WHEN found.missed > 0 THEN format('key %s: %s', found.key, statement) END;
        RAISE EXCEPTION USING ERRCODE = 'TLZZZ', MESSAGE = 'rolled back';
    EXCEPTION
        WHEN SQLSTATE 'TLZZZ' THEN NULL;
        WHEN integrity_constraint_violation OR raise_exception OR lock_not_available OR data_exception THEN refused := true;
    END;
END
$$;
