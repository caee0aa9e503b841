-- tally.derive_ways: every way from one instance to the key, for each case of how the key can be computed.
--   Parameters jumps: barriers to leave by way of neighbours; fixed: the choices made; key: the values of its columns, an array for each
--   Returns    {ways: [{fixed, …find_way's}]} or {none: the reason why there is none}
--   Called by  tally.derive_starts
CREATE OR REPLACE FUNCTION tally.derive_ways(st jsonb, start integer, jumps integer[], fixed jsonb, key jsonb)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    vals   jsonb := tally.possible_values(st, key, fixed);
    choice text := tally.open_choice((SELECT coalesce(jsonb_agg(v -> 'm'), '[]') FROM jsonb_array_elements(vals) c, jsonb_array_elements(c) v), fixed);
    way    jsonb;
BEGIN
    IF choice IS NULL THEN
        IF EXISTS (SELECT FROM jsonb_array_elements(vals) c WHERE c = '[]') THEN
            RETURN '{"none": "expression"}';
        END IF;
        SELECT jsonb_agg(c -> 0 ORDER BY i) INTO vals FROM jsonb_array_elements(vals) WITH ORDINALITY u(c, i);
        IF EXISTS (SELECT FROM jsonb_array_elements(vals) v WHERE (SELECT count(*) FROM jsonb_object_keys(v -> 'v')) > 1
                      OR v -> 'v' = '{}' AND v -> 'f' <> '{}') THEN  -- of a function whose arguments are constants
            RETURN '{"none": "expression"}';
        END IF;
        way := tally.find_way(st, start, jumps, fixed, vals);
        IF way IS NULL THEN
            RETURN '{"none": "way"}';
        END IF;
        choice := tally.open_choice((SELECT coalesce(jsonb_agg(x -> 'm'), '[]') FROM (
            SELECT jsonb_array_elements(way -> 'joins') UNION ALL SELECT jsonb_array_elements(way -> 'targets')) y(x) WHERE x ? 'm' AND x -> 'm' <> 'null'), fixed);
        IF choice IS NULL THEN
            RETURN jsonb_build_object('ways', jsonb_build_array(way || jsonb_build_object('fixed', fixed, 'values', vals)));
        END IF;
    END IF;
    RETURN tally.each_choice(st, start, jumps, fixed, key, choice);
END
$$;

-- tally.each_choice: the ways for every outcome of a choice.
CREATE OR REPLACE FUNCTION tally.each_choice(st jsonb, start integer, jumps integer[], fixed jsonb, key jsonb, choice text)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    outcome jsonb;
    part    jsonb;
    ways    jsonb := '[]';
BEGIN
    IF (SELECT count(*) FROM jsonb_object_keys(fixed)) > 12 THEN
        RETURN '{"none": "many"}';
    END IF;
    FOR outcome IN SELECT tally.outcomes(st, choice) LOOP
        part := tally.derive_ways(st, start, jumps, fixed || jsonb_build_object(choice, outcome), key);
        IF part ? 'none' THEN
            RETURN part;
        END IF;
        ways := ways || (part -> 'ways');
    END LOOP;
    RETURN jsonb_build_object('ways', ways);
END
$$;

-- tally.outcomes: the outcomes of a choice: the arms of a set operation that pass, the arguments of COALESCE, or whether a nullable side has a row.
CREATE OR REPLACE FUNCTION tally.outcomes(st jsonb, choice text)
RETURNS SETOF jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_array_elements(st -> 'passing' -> choice)
    UNION ALL
    SELECT to_jsonb(i) FROM generate_series(0, CASE WHEN st -> 'passing' ? choice THEN -1 WHEN starts_with(choice, 'c') THEN substr(split_part(choice, '_', 1), 2)::integer - 1 ELSE 1 END) i
$$;

-- tally.open_choice: a choice that has not been made and on which one of these sets depends.
CREATE OR REPLACE FUNCTION tally.open_choice(sets jsonb, fixed jsonb)
RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN (
        SELECT min(k) FROM jsonb_array_elements(sets) s, jsonb_object_keys(s) k WHERE NOT fixed ? k);
END
$$;

-- tally.without_side: a value if a nullable side has no row: NULL, or, of COALESCE or IS NULL, what it is with NULL in place of columns. SQL NULL: it
-- also depends on rows of other tables, or on functions.
CREATE OR REPLACE FUNCTION tally.without_side(st jsonb, v jsonb, side integer)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    q text := v ->> 'q';
    c record;
BEGIN
    IF tally.is_null_without(st, v, side) THEN
        q := 'NULL';
    ELSIF v -> 'f' <> '{}' OR EXISTS (SELECT FROM tally.scopes_of(st, v) s(scope) WHERE NOT st -> 'scopes' -> s.scope -> 'up' @> to_jsonb(side)) THEN
        RETURN NULL;
    ELSE
        FOR c IN SELECT i.key AS i, quote_ident(a.attname) AS name, a.atttypid AS type FROM jsonb_each(v -> 'v') i CROSS JOIN LATERAL jsonb_array_elements(i.value) n(n)
                 JOIN pg_attribute a ON a.attrelid = (st -> 'instances' -> i.key::integer ->> 'relation')::oid AND a.attnum = n.n::integer LOOP
            q := regexp_replace(q, E'\x01' || c.i || E'\x02\\.' || regexp_replace(c.name, '(\W)', '\\\1', 'g') || '(?!\w)', replace('NULL::' || tally.type_name(c.type), '\', '\\'), 'g');
        END LOOP;
    END IF;
    RETURN jsonb_build_object('q', q, 'v', '{}'::jsonb, 't', v -> 't', 'f', '{}'::jsonb);
END
$$;

-- tally.possible_values: the values of each column of the key that agree with the choices made. For a column from the nullable side of
-- an outer join, one of them is what it is if that side has no row.
CREATE OR REPLACE FUNCTION tally.possible_values(st jsonb, key jsonb, fixed jsonb)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        WITH value AS (
            SELECT k.n, v, ARRAY(
                SELECT DISTINCT u::integer FROM tally.scopes_of(st, v) s(scope), jsonb_array_elements(st -> 'scopes' -> s.scope -> 'up') u
                WHERE st -> 'scopes' -> u::integer ->> 'kind' = 'nullable' AND NOT v -> 'm' ? ('n' || (u #>> '{}')) AND u::integer <> ALL (tally.usable_scopes(st, 0, NULL, fixed - ARRAY(SELECT x FROM jsonb_object_keys(fixed) x WHERE x ~ '^n')))
                ORDER BY 1) AS sides
            FROM jsonb_array_elements(key) WITH ORDINALITY k(alternatives, n), jsonb_array_elements(k.alternatives) v
            WHERE tally.agree(v -> 'm', fixed)
              AND NOT EXISTS (SELECT FROM jsonb_each(v -> 'm') e WHERE st -> 'passing' ? e.key AND NOT fixed ? e.key AND NOT st -> 'passing' -> e.key @> e.value)
        ), possible AS (
            SELECT n, v || jsonb_build_object('m', v -> 'm' || (SELECT coalesce(jsonb_object_agg('n' || s, 0), '{}') FROM unnest(sides) s)) AS v FROM value
            UNION ALL
            SELECT n, w.v || jsonb_build_object('m', value.v -> 'm' || jsonb_build_object('n' || s, 1)) FROM value, unnest(sides) s CROSS JOIN LATERAL tally.without_side(st, value.v, s) w(v) WHERE w.v IS NOT NULL
        )
        SELECT jsonb_agg(coalesce((SELECT jsonb_agg(p.v ORDER BY p.v ->> 'q' DESC) FROM possible p WHERE p.n = k.n AND tally.agree(p.v -> 'm', fixed)), '[]') ORDER BY k.n)
        FROM jsonb_array_elements(key) WITH ORDINALITY k(alternatives, n));
END
$$;

-- tally.derive_starts: the ways of one instance: its own, and, if rows of a level depend on each other, those of its neighbours.
--   Returns   a row for each set of barriers that is left by way of neighbours: jumps, result (of derive_ways)
--   Called by tally.derive
CREATE OR REPLACE FUNCTION tally.derive_starts(st jsonb, start integer, key jsonb)
RETURNS TABLE (jumps integer[], result jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
    i        jsonb := st -> 'instances' -> start;
    barriers integer[] := ARRAY(SELECT u::integer FROM jsonb_array_elements(st -> 'scopes' -> (i ->> 'scope')::integer -> 'up') WITH ORDINALITY x(u, n)
                                WHERE st -> 'scopes' -> u::integer ? 'barrier' ORDER BY n);
BEGIN
    WHILE tally.is_parted_by_key(st -> 'scopes' -> barriers[cardinality(barriers)] -> 'barrier', key) LOOP
        barriers := trim_array(barriers, 1);  -- all neighbours have the same key
    END LOOP;
    IF i ->> 'lost' IS NOT NULL OR cardinality(barriers) > 3 THEN
        jumps := '{}';
        result := jsonb_build_object('none', coalesce(i ->> 'lost', 'many'));
        RETURN NEXT;
        RETURN;
    END IF;
    FOR mask IN 0 .. (1 << cardinality(barriers)) - 1 LOOP
        jumps := ARRAY(SELECT barriers[b] FROM generate_subscripts(barriers, 1) b WHERE mask & (1 << (b - 1)) <> 0 ORDER BY b);
        result := tally.derive_ways(st, start, jumps, CASE WHEN jumps = '{}' THEN i -> 'm' ELSE st -> 'scopes' -> jumps[cardinality(jumps)] -> 'm' END, key);
        RETURN NEXT;
        EXIT WHEN result ? 'none';
    END LOOP;
END
$$;

-- tally.is_parted_by_key: whether a barrier partitions its rows by every column of the key, so that rows which depend on each other have the same key.
CREATE OR REPLACE FUNCTION tally.is_parted_by_key(barrier jsonb, key jsonb)
RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT NOT EXISTS (
        SELECT FROM jsonb_array_elements(key) k(alternatives)
        WHERE jsonb_array_length(alternatives) <> 1
           OR NOT EXISTS (SELECT FROM jsonb_array_elements(barrier) p WHERE (p -> 'q', p -> 'v', p -> 'm') = (alternatives -> 0 -> 'q', alternatives -> 0 -> 'v', alternatives -> 0 -> 'm')))
        AND barrier IS NOT NULL AND jsonb_array_length(key) > 0
$$;
