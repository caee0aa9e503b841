-- How rows are looked up by a condition that a value is an element of an array: value = ANY (array), array @> ARRAY[value], or a join with
-- unnest(array). From the array to the value an index on the value serves; from the value to the array a GIN index on the array does.

-- tally.membership: the forms of such a condition, for a step to the value and for one to the array.
--   Parameters st: a shape; n: the condition's node; c: its value
--   Returns    {instance to step to: {q: the condition, col: the column to look up, am: the access method of an index}}; NULL: another condition
--   Called by  tally.read_condition
CREATE OR REPLACE FUNCTION tally.membership(st jsonb, env jsonb, n jsonb, c jsonb)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    pair jsonb := tally.element_and_array(n);
    pair_of record;
BEGIN
    IF pair IS NULL OR c -> 'f' <> '{}' THEN
        RETURN NULL;
    END IF;
    SELECT e.e, a.a INTO pair_of FROM jsonb_array_elements(tally.resolve(env, pair -> 0)) e(e), jsonb_array_elements(tally.resolve(env, pair -> 1)) a(a)
    WHERE tally.merged_columns(e.e -> 'v', a.a -> 'v') = c -> 'v' AND e.e -> 'm' || (a.a -> 'm') = c -> 'm'
      AND (SELECT count(*) FROM jsonb_object_keys(e.e -> 'v')) = 1 AND (SELECT count(*) FROM jsonb_object_keys(a.a -> 'v')) = 1
      AND tally.is_default_equality(CASE n ->> '_' WHEN 'SCALARARRAYOPEXPR' THEN (n -> 'opno' ->> 0)::oid END, (e.e ->> 't')::oid);
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    RETURN jsonb_build_object(
        (SELECT k FROM jsonb_object_keys(pair_of.e -> 'v') k), jsonb_build_object('q', format('(%s = ANY (%s))', pair_of.e ->> 'q', pair_of.a ->> 'q'), 'col', pair_of.e -> 'col' -> 1, 'am', 'btree'))
        || tally.step_to_array(st, pair_of.a, pair_of.e ->> 'q', (pair_of.e ->> 't')::oid);
END
$$;

-- tally.only_element: the expression x of ARRAY[x].
CREATE OR REPLACE FUNCTION tally.only_element(n jsonb)
RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT n -> 'elements' -> 0 -> 0 WHERE n ->> '_' IN ('ARRAY', 'ARRAYEXPR') AND jsonb_array_length(n -> 'elements' -> 0) = 1 AND n -> 'multidims' ->> 0 = 'false'
$$;

-- tally.element_and_array: the expressions of the value and of the array, if a condition is of that form.
CREATE OR REPLACE FUNCTION tally.element_and_array(n jsonb)
RETURNS jsonb LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT CASE WHEN n ->> '_' = 'SCALARARRAYOPEXPR' AND n -> 'useOr' ->> 0 = 'true' THEN n -> 'args' -> 0
                WHEN n ->> '_' = 'OPEXPR' AND o.opno = '@>(anyarray,anyarray)'::regoperator AND tally.only_element(n -> 'args' -> 0 -> 1) IS NOT NULL
                THEN jsonb_build_array(tally.only_element(n -> 'args' -> 0 -> 1), n -> 'args' -> 0 -> 0)
                WHEN n ->> '_' = 'OPEXPR' AND o.opno = '<@(anyarray,anyarray)'::regoperator AND tally.only_element(n -> 'args' -> 0 -> 0) IS NOT NULL
                THEN jsonb_build_array(tally.only_element(n -> 'args' -> 0 -> 0), n -> 'args' -> 0 -> 1) END
    FROM (SELECT (n -> 'opno' ->> 0)::oid AS opno) o
$$;

-- tally.is_default_equality: whether an operator (NULL: that of @>) is the equality by which a type is sorted, so that = ANY and @> agree.
CREATE OR REPLACE FUNCTION tally.is_default_equality(operator oid, type oid)
RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT operator IS NULL OR EXISTS (
        SELECT FROM pg_amop m JOIN pg_operator o ON o.oid = m.amopopr JOIN pg_opclass c ON c.opcfamily = m.amopfamily
        WHERE m.amopopr = operator AND m.amopmethod = 403 AND m.amopstrategy = 3 AND o.oprleft = type AND o.oprright = type AND c.opcdefault AND c.opcintype = type
          AND o.oprnamespace = 'pg_catalog'::regnamespace)
$$;

-- tally.step_to_array: the condition for a step to the table of an array: with @> if the array is a column of the value's array type.
--   Parameters a: the array's value; element: SQL of the value; type: of the value
CREATE OR REPLACE FUNCTION tally.step_to_array(st jsonb, a jsonb, element text, type oid)
RETURNS jsonb LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT jsonb_build_object(i.i, CASE
        WHEN t.typelem = step_to_array.type THEN jsonb_build_object('q', format('(%s @> ARRAY[%s])', a ->> 'q', element), 'col', a -> 'col' -> 1, 'am', 'gin')
        WHEN t.typelem = 'varchar'::regtype AND step_to_array.type = 'text'::regtype THEN jsonb_build_object('q', format('(%s @> ARRAY[%s]::varchar[])', a ->> 'q', element), 'col', a -> 'col' -> 1, 'am', 'gin')
        ELSE jsonb_build_object('q', format('(%s = ANY (%s))', element, a ->> 'q')) END)
    FROM jsonb_object_keys(a -> 'v') i(i)
    LEFT JOIN pg_attribute c ON c.attrelid = (st -> 'instances' -> (a -> 'col' ->> 0)::integer ->> 'relation')::oid AND c.attnum = (a -> 'col' ->> 1)::integer
    LEFT JOIN pg_type t ON t.oid = c.atttypid AND t.typsubscript = 'array_subscript_handler'::regproc AND t.typlen = -1
$$;

-- tally.membership_of_function: the same of an equality with what a function in FROM returns for a row of the other table, unnest(array) say.
--   Parameters c: the condition's value; sides: of tally.equality
--   Called by  tally.add_condition
CREATE OR REPLACE FUNCTION tally.membership_of_function(st jsonb, c jsonb, sides jsonb)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    f     record;
    here  text := CASE WHEN sides -> 'fi' = '{}' THEN 'i' ELSE 'j' END;   -- the side that is a plain value
    there text := CASE WHEN sides -> 'fi' = '{}' THEN 'j' ELSE 'i' END;
    whole text;
BEGIN
    IF NOT coalesce((sides ->> 'eq')::boolean, false) OR sides -> 'ti' <> sides -> 'tj' OR (sides -> 'fi' = '{}') = (sides -> 'fj' = '{}')
        OR (SELECT count(*) FROM jsonb_object_keys(c -> 'f')) <> 1 THEN
        RETURN NULL;
    END IF;
    SELECT e.key, e.value INTO f FROM jsonb_each(c -> 'f') e;
    whole := format('EXISTS (SELECT FROM %s WHERE %s)', f.value ->> 'sql', c ->> 'q');
    RETURN jsonb_build_object(sides ->> here, jsonb_build_object('col', sides -> ('c' || here), 'am', 'btree',
            'q', format('(%s %s ANY (%s))', sides ->> ('q' || here), replace(sides ->> 'op', '%%', '%'), CASE WHEN f.value -> 'array' ->> 'first' = sides ->> ('q' || there) THEN f.value -> 'array' ->> 'q'
                        ELSE format('ARRAY(SELECT %s FROM %s)', sides ->> ('q' || there), f.value ->> 'sql') END)))
        || CASE WHEN f.value -> 'array' ->> 'first' = sides ->> ('q' || there) AND sides ->> 'op' = '='
                THEN tally.step_to_array(st, f.value -> 'array', sides ->> ('q' || here), (sides ->> ('t' || here))::oid)
                ELSE jsonb_build_object(sides ->> there, jsonb_build_object('q', whole)) END;
END
$$;
