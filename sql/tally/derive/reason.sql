-- tally.reason: a sentence that says how a table's rows lead to the keys of a view, or why they do not.
--   Parameters source; key: the view's; reach, why, ways, shape: of tally.derive
CREATE OR REPLACE FUNCTION tally.reason(source regclass, key name[], reach text, why text, ways jsonb, shape jsonb)
RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    names text := array_to_string(key, ', ');
BEGIN
    IF starts_with(why, 'column ') THEN
        RETURN format('A row of %s leads to the key (%s) by its column %s, whose values cannot be passed in an array: a setting changes their text, or they are composite. Keep them in a table of their own, a row each.',
            source, names, substr(why, 8));
    END IF;
    RETURN CASE why
        WHEN 'unread' THEN format('The view names %s where nothing is read from it (a CTE that is not used), so no change of it matters.', source)
        WHEN 'unknown' THEN format('The view reads %s in a place that is not followed, so a row of it may matter to any key.', source)
        WHEN 'recursion' THEN format('%s is read by a recursive query: a row may matter to any key that the recursion reaches.', source)
        WHEN 'expression' THEN format('The key (%s) is computed from more than a row of one table tells, so no row of %s tells which keys it belongs to. Choose a key of plain columns.', names, source)
        WHEN 'many' THEN format('The view joins %s in too many ways at once (set operations, windows) to follow them.', source)
        WHEN 'together' THEN format('A row of %s leads to the key (%s) only through rows that may be gone in the same transaction.', source, names)
        WHEN 'way' THEN tally.reason_of_barrier(source, names, shape)
        ELSE tally.reason_of_ways(source, names, reach, ways, shape) END;
END
$$;

-- tally.instances_of: where a view reads a table: the instance, and the scopes around it, the innermost first.
CREATE OR REPLACE FUNCTION tally.instances_of(source regclass, shape jsonb)
RETURNS TABLE (instance integer, scope integer, depth bigint) LANGUAGE sql STABLE AS $$
    SELECT (i ->> 'id')::integer, u.s::integer, u.n FROM jsonb_array_elements(shape -> 'instances') i,
           jsonb_array_elements(shape -> 'scopes' -> (i ->> 'scope')::integer -> 'up') WITH ORDINALITY u(s, n)
    WHERE (i ->> 'relation')::oid = source
$$;

-- tally.reason_of_barrier: the part of a view that keeps a table's rows from leading to the key.
CREATE OR REPLACE FUNCTION tally.reason_of_barrier(source regclass, names text, shape jsonb)
RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    note jsonb;
    kind text;
BEGIN
    SELECT n INTO note FROM tally.instances_of(source, shape) i JOIN jsonb_array_elements(shape -> 'notes') n ON (n ->> 'scope')::integer = i.scope ORDER BY i.depth LIMIT 1;
    IF FOUND THEN
        RETURN format('%s is compared by %s, where a NULL in %s matters to every row.%s', tally.readable(shape, note -> 'left'), note ->> 'kind',
            coalesce(nullif(tally.readable(shape, note -> 'columns'), '?'), source::text), CASE note ->> 'kind' WHEN 'NOT IN' THEN ' NOT EXISTS with = in its WHERE can be followed.' ELSE ' EXISTS with = in its WHERE can be followed.' END);
    END IF;
    SELECT shape -> 'scopes' -> i.scope ->> 'by' INTO kind FROM tally.instances_of(source, shape) i WHERE shape -> 'scopes' -> i.scope ? 'barrier' ORDER BY i.depth LIMIT 1;
    IF kind = 'LIMIT' THEN
        RETURN format('LIMIT takes the first rows of all keys together, so a row of %s may push out or let in that of any other key. With the LIMIT in a LATERAL subquery that compares with the key (%s), only that key''s rows compete.', source, names);
    ELSIF kind IS NOT NULL THEN
        RETURN format('Each row depends on others by %s that no condition joins with the key (%s), so a row of %s may matter to any key. PARTITION BY (or DISTINCT ON) a column that leads to the key, or a LATERAL subquery by key, bounds it.', kind, names, source);
    END IF;
    RETURN format('No condition that can be followed joins %s with the key (%s): it is joined with every row, or by an expression over several tables.', source, names);
END
$$;

-- tally.readable: the text of an expression's value with table names, for a sentence.
CREATE OR REPLACE FUNCTION tally.readable(shape jsonb, vals jsonb)
RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    v    jsonb := vals -> 0;
    q    text := v ->> 'q';
    i    text;
BEGIN
    FOR i IN SELECT k FROM jsonb_object_keys(coalesce(v -> 'v', '{}')) k LOOP
        q := replace(q, E'\x01' || i || E'\x02', (SELECT c.relname FROM pg_class c WHERE c.oid = (shape -> 'instances' -> i::integer ->> 'relation')::oid));
    END LOOP;
    RETURN coalesce(q, '?');
END
$$;

-- tally.reason_of_ways: how the rows of a table lead to keys.
CREATE OR REPLACE FUNCTION tally.reason_of_ways(source regclass, names text, reach text, ways jsonb, shape jsonb)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT CASE WHEN w -> 'joins' = '[]' THEN format('A row of %s holds the key (%s) itself', source, names)
                ELSE format('A row of %s leads to the key (%s) by %s', source, names, (
                    SELECT string_agg(tally.with_aliases(tally.bare(j ->> 'q'), c.aliases), ', ' ORDER BY n)
                    FROM jsonb_array_elements(w -> 'joins') WITH ORDINALITY u(j, n))) END
        || CASE WHEN jsonb_array_length(ways) > 1 THEN format(', and by %s more way%s', jsonb_array_length(ways) - 1, CASE jsonb_array_length(ways) WHEN 2 THEN '' ELSE 's' END) ELSE '' END
        || CASE WHEN EXISTS (SELECT FROM jsonb_array_elements(ways) x WHERE x -> 'jumps' <> '[]') THEN '; rows of its window, DISTINCT ON or LIMIT depend on it, so all their keys are named' ELSE '' END
        || CASE WHEN EXISTS (SELECT FROM jsonb_array_elements(ways) x WHERE (x ->> 'stored')::boolean) THEN '; the rest of the key is looked up in what is stored, too, for the rows that led to it may be gone' ELSE '' END
        || CASE WHEN EXISTS (SELECT FROM jsonb_array_elements(ways) x, jsonb_array_elements(x -> 'joins') j WHERE NOT j -> 'e' ?| '{op,in,part}') THEN '; not by equality alone' ELSE '' END || '.'
    FROM (SELECT ways -> 0 AS w, c.relname, tally.way_aliases(shape, ways -> 0) || jsonb_build_object(ways -> 0 ->> 'home', c.relname) AS aliases FROM pg_class c WHERE c.oid = source OFFSET 0) c
$$;

-- tally.reason_of_cost: what each merge costs if no key can be pushed down into a view; NULL if it can.
CREATE OR REPLACE FUNCTION tally.reason_of_cost(key name[], shape jsonb)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT format('Each merge computes the whole view, whatever has changed: PostgreSQL cannot push the key (%s) below %s. %s', array_to_string(key, ', '), s.by,
               CASE s.by WHEN 'LIMIT' THEN 'Write the LIMIT in a LATERAL subquery that compares with the key.'
                         ELSE 'Choose the columns it is parted by as the key, or part it by the key, or write it in a LATERAL subquery by key.' END)
    FROM (SELECT sc.x ->> 'by' AS by, sc.x -> 'barrier' AS barrier, sc.n - 1 AS scope FROM jsonb_array_elements(shape -> 'scopes') WITH ORDINALITY sc(x, n) WHERE sc.x ? 'barrier') s
    WHERE EXISTS (  -- a column of the key comes from this scope, which is not partitioned by that column
        SELECT FROM unnest(key) k, jsonb_array_elements(shape -> 'columns' -> k) v
        WHERE EXISTS (SELECT FROM jsonb_object_keys(v -> 'v') i WHERE shape -> 'scopes' -> (shape -> 'instances' -> i::integer ->> 'scope')::integer -> 'up' @> to_jsonb(s.scope))
          AND NOT EXISTS (SELECT FROM jsonb_array_elements(s.barrier) p WHERE p ->> 'q' = v ->> 'q'))
      AND NOT EXISTS (  -- and no LATERAL subquery passes the key in
        SELECT FROM jsonb_array_elements(shape -> 'conditions') c
        WHERE shape -> 'scopes' -> (c ->> 'scope')::integer -> 'up' @> to_jsonb(s.scope)
          AND (shape -> 'scopes' -> (shape -> 'instances' -> (c ->> 'i')::integer ->> 'scope')::integer -> 'up' @> to_jsonb(s.scope))
              <> (shape -> 'scopes' -> (shape -> 'instances' -> (c ->> 'j')::integer ->> 'scope')::integer -> 'up' @> to_jsonb(s.scope)))
    LIMIT 1
$$;
