-- Operators, collations and types of columns. Generated code compares values as an index on the column does: by the default btree
-- operator class of the type, and with the column's collation. Its search_path is pg_catalog alone. An operator of another schema is
-- written OPERATOR(schema.=), so an operator that another user made is never called by mistake.

-- tally.base_type: the type under a domain, or under a domain over a domain; any other type as it is.
CREATE OR REPLACE FUNCTION tally.base_type(type oid)
RETURNS oid LANGUAGE sql STABLE AS 'SELECT u.type FROM tally.under_domains(base_type.type, -1) u';

-- tally.default_opclass: the operator class by which PostgreSQL indexes, groups and sorts values of a type; NULL if it has none.
--   Parameters type; method: 'btree' or 'hash'
CREATE OR REPLACE FUNCTION tally.default_opclass(type oid, method name DEFAULT 'btree')
RETURNS oid LANGUAGE sql STABLE AS $$
    SELECT o.oid
    FROM pg_type t
    JOIN pg_opclass o ON o.opcdefault AND o.opcmethod = (SELECT m.oid FROM pg_am m WHERE m.amname = default_opclass.method)
    JOIN pg_type i ON i.oid = o.opcintype
    WHERE t.oid = tally.base_type(default_opclass.type)
      AND (i.oid = t.oid
        OR i.typname = CASE WHEN t.typsubscript = 'array_subscript_handler'::regproc THEN 'anyarray'
                            WHEN t.typtype = 'e' THEN 'anyenum' WHEN t.typtype = 'r' THEN 'anyrange'
                            WHEN t.typtype = 'm' THEN 'anymultirange' WHEN t.typtype = 'c' THEN 'record' END
           AND i.typnamespace = 'pg_catalog'::regnamespace
        OR EXISTS (SELECT FROM pg_cast c WHERE c.castsource = t.oid AND c.casttarget = i.oid AND c.castmethod = 'b' AND c.castcontext = 'i'))
    ORDER BY i.oid = t.oid DESC, i.typispreferred DESC LIMIT 1
$$;

-- tally.sql_operator: SQL for the operator that compares a column's values: =, or OPERATOR(public.=) for the type of an extension.
--   Parameters operator: <, <=, =, >= or >. A type may use other names; the operator is found by its role in the operator class
CREATE OR REPLACE FUNCTION tally.sql_operator(relation regclass, col name, operator text DEFAULT '=')
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce((
        SELECT format('OPERATOR(%I.%s)', n.nspname, p.oprname)
        FROM pg_attribute a
        JOIN pg_opclass o ON o.oid = tally.default_opclass(a.atttypid)
        JOIN pg_amop m ON m.amopfamily = o.opcfamily AND m.amoplefttype = o.opcintype AND m.amoprighttype = o.opcintype
                      AND m.amopstrategy = array_position('{<,<=,=,>=,>}'::text[], sql_operator.operator)
        JOIN pg_operator p ON p.oid = m.amopopr
        JOIN pg_namespace n ON n.oid = p.oprnamespace
        WHERE a.attrelid = relation AND a.attname = col AND n.nspname <> 'pg_catalog'), sql_operator.operator)
$$;

-- tally.sql_alike: SQL for "these two expressions are equal, or both are NULL". It uses the type's own operator: with the fixed search_path,
-- IS NOT DISTINCT FROM would not find that of citext, for example.
--   Parameters type: of both expressions
CREATE OR REPLACE FUNCTION tally.sql_alike(type oid, a text, b text)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce((
        SELECT format('(%1$s OPERATOR(%3$I.%4$s) %2$s OR %1$s IS NULL AND %2$s IS NULL)', a, b, n.nspname, p.oprname)
        FROM pg_opclass o
        JOIN pg_amop m ON m.amopfamily = o.opcfamily AND m.amoplefttype = o.opcintype AND m.amoprighttype = o.opcintype AND m.amopstrategy = 3
        JOIN pg_operator p ON p.oid = m.amopopr
        JOIN pg_namespace n ON n.oid = p.oprnamespace
        WHERE o.oid = tally.default_opclass(sql_alike.type) AND n.nspname <> 'pg_catalog'), format('%s IS NOT DISTINCT FROM %s', a, b))
$$;

-- tally.sql_compare: SQL that compares two rows of expressions, column by column. It can use an index on these columns.
--   Parameters columns: of the relation, whose types the expressions have; a, b: expressions; operator: <, <=, >= or >
CREATE OR REPLACE FUNCTION tally.sql_compare(relation regclass, columns name[], a text[], operator text, b text[])
RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    strictly text := rtrim(operator, '=');
    sql      text;
BEGIN
    IF cardinality(columns) = 1 THEN
        RETURN format('%s %s %s', a[1], tally.sql_operator(relation, columns[1], operator), b[1]);
    END IF;
    IF NOT EXISTS (SELECT FROM unnest(columns) c WHERE tally.sql_operator(relation, c, operator) <> operator) THEN
        RETURN format('ROW(%s) %s ROW(%s)', array_to_string(a, ', '), operator, array_to_string(b, ', '));
    END IF;
    FOR i IN REVERSE cardinality(columns) .. 1 LOOP  -- a row comparison takes only one operator name, but these columns need several
        sql := CASE WHEN sql IS NULL THEN format('%s %s %s', a[i], tally.sql_operator(relation, columns[i], operator), b[i])
            ELSE format('(%1$s %3$s %2$s AND (%1$s %4$s %2$s OR %5$s))', a[i], b[i],
                        tally.sql_operator(relation, columns[i], strictly || '='), tally.sql_operator(relation, columns[i], strictly), sql) END;
    END LOOP;
    RETURN sql;
END
$$;

-- tally.sql_collate: SQL that gives a value the collation of a column: '' if the type has that collation anyway.
CREATE OR REPLACE FUNCTION tally.sql_collate(relation regclass, col name)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce((
        SELECT format(' COLLATE %I.%I', n.nspname, c.collname)
        FROM pg_attribute a
        JOIN pg_type t ON t.oid = tally.base_type(a.atttypid)
        JOIN pg_collation c ON c.oid = a.attcollation AND c.oid <> t.typcollation
        JOIN pg_namespace n ON n.oid = c.collnamespace
        WHERE a.attrelid = relation AND a.attname = col), '')
$$;

-- tally.collated_list: as tally.column_list, for values that came out of a variable or a function, which lose their collation.
CREATE OR REPLACE FUNCTION tally.collated_list(relation regclass, columns name[], prefix text DEFAULT '')
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT string_agg(prefix || quote_ident(c) || CASE o.sql WHEN '' THEN '' ELSE format('%s AS %I', o.sql, c) END, ', ' ORDER BY n)
    FROM unnest(columns) WITH ORDINALITY u(c, n) CROSS JOIN LATERAL tally.sql_collate(relation, c) o(sql)
$$;

-- tally.renew_delta: give the delta table of a projection or a snapshot the types and the default that this engine makes. Engines up to 2026-11 made columns and
-- arrays of domains, and a row was as old as its writer's transaction.
--   Locks      the delta table, for a moment, with patience; if that fails, it stays as it is until the next call
CREATE OR REPLACE FUNCTION tally.renew_delta(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    delta   regclass := tally.relation_of(v, '_delta');
    changes text := (
        SELECT string_agg(format('ALTER COLUMN %I %s', a.attname, x.change), ', ' ORDER BY a.attnum)
        FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type e ON e.oid = t.typelem AND e.typtype = 'd'
        LEFT JOIN pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
        CROSS JOIN LATERAL (SELECT CASE WHEN t.typtype = 'd' THEN 'TYPE ' || tally.plain_type(a.atttypid, a.atttypmod)
                                        WHEN e.oid IS NOT NULL THEN format('TYPE %s[]', tally.plain_type(e.oid, -1))
                                        WHEN a.attname = 'tally_at' AND pg_get_expr(f.adbin, f.adrelid) = 'now()' THEN 'SET DEFAULT clock_timestamp()' END) x(change)
        WHERE a.attrelid = delta AND a.attnum > 0 AND NOT a.attisdropped AND x.change IS NOT NULL);
BEGIN
    IF changes IS NOT NULL THEN
        PERFORM tally.lock_tables(ARRAY[delta], 'ACCESS EXCLUSIVE');
        EXECUTE format('ALTER TABLE %s %s', delta, changes);
    END IF;
EXCEPTION WHEN SQLSTATE 'TL015' THEN
    NULL;  -- until then a new check of the domain is refused, and lag counts from the begin of the writer's transaction
END
$$;

-- tally.column_definitions: columns of a relation with type and collation, for CREATE TYPE.
DROP FUNCTION IF EXISTS tally.column_definitions(regclass, name[], text, name[]);  -- it had more parameters
CREATE OR REPLACE FUNCTION tally.column_definitions(relation regclass, columns name[])
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT string_agg(format('%I %s%s', c, tally.type_of(relation, c), tally.sql_collate(relation, c)), ', ' ORDER BY n)
    FROM unnest(columns) WITH ORDINALITY AS u(c, n)
$$;

-- tally.plain_definitions: the same for a delta table, which has no domains (tally.plain_type).
--   Parameters suffix: follows each type, such as '[]'; names: other names for the columns
CREATE OR REPLACE FUNCTION tally.plain_definitions(relation regclass, columns name[], suffix text DEFAULT '', names name[] DEFAULT NULL)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT string_agg(format('%I %s%s%s', coalesce(names[n], c), tally.plain_type(relation, c), suffix, tally.sql_collate(relation, c)), ', ' ORDER BY n)
    FROM unnest(columns) WITH ORDINALITY AS u(c, n)
$$;

-- tally.type_id, tally.column_type: the type of a column, as its OID; and as SQL, with modifier and collation.
CREATE OR REPLACE FUNCTION tally.type_id(relation regclass, col name)
RETURNS oid LANGUAGE sql STABLE AS $$
    SELECT a.atttypid FROM pg_attribute a WHERE a.attrelid = relation AND a.attname = col AND a.attnum > 0 AND NOT a.attisdropped
$$;
CREATE OR REPLACE FUNCTION tally.column_type(relation regclass, col name)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT tally.type_of(relation, col) || tally.sql_collate(relation, col)
$$;

-- tally.cast_list: as tally.collated_list, with a cast to a domain where the column of this derived table has one.
CREATE OR REPLACE FUNCTION tally.cast_list(stored regclass, columns name[], prefix text)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT string_agg(CASE WHEN t.typtype = 'd' THEN format('CAST(%s%I AS %s)%s AS %I', prefix, c, t.oid::regtype, tally.sql_collate(stored, c), c)
                           ELSE tally.collated_list(stored, ARRAY[c], prefix) END, ', ' ORDER BY n)
    FROM unnest(columns) WITH ORDINALITY u(c, n) JOIN pg_type t ON t.oid = tally.type_id(stored, c)
$$;

-- tally.unordered_part: the type because of which values of a type cannot be compared: itself, its element type or a field's; NULL: none.
--   Parameters type; method: 'btree' or 'hash'
CREATE OR REPLACE FUNCTION tally.unordered_part(type oid, method name DEFAULT 'btree')
RETURNS oid LANGUAGE sql STABLE AS $$
    WITH RECURSIVE part(type) AS (
        SELECT tally.base_type(unordered_part.type)
        UNION
        SELECT tally.base_type(x.type) FROM part p JOIN pg_type t ON t.oid = p.type
        CROSS JOIN LATERAL (
            SELECT t.typelem WHERE t.typsubscript = 'array_subscript_handler'::regproc
            UNION ALL SELECT a.atttypid FROM pg_attribute a WHERE a.attrelid = t.typrelid AND t.typtype = 'c' AND a.attnum > 0 AND NOT a.attisdropped) x(type))
    SELECT p.type FROM part p WHERE tally.default_opclass(p.type, unordered_part.method) IS NULL LIMIT 1
$$;

-- tally.sql_hash: SQL for the 64-bit hash of a value, by the type's hash function, named with its schema; NULL: there is none.
CREATE OR REPLACE FUNCTION tally.sql_hash(type oid, value text)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN f.proargtypes[0] <> 'internal'::regtype THEN format('%I.%I(%s, 0)', n.nspname, f.proname, value)
                WHEN tally.base_type(sql_hash.type) = 'bytea'::regtype THEN format('hashtextextended(encode(%s, ''hex''), 0)', value) END  -- before PostgreSQL 18 its hash function cannot be called
    FROM pg_opclass o
    JOIN pg_amproc a ON a.amprocfamily = o.opcfamily AND a.amproclefttype = o.opcintype AND a.amprocrighttype = o.opcintype AND a.amprocnum = 2
    JOIN pg_proc f ON f.oid = a.amproc
    JOIN pg_namespace n ON n.oid = f.pronamespace
    WHERE o.oid = tally.default_opclass(sql_hash.type, 'hash') AND tally.unordered_part(sql_hash.type, 'hash') IS NULL
$$;

-- tally.require_ordered: raise unless every one of these columns can be indexed and compared.
--   Parameters relation, columns; use: the purpose, as the message says it ('part of a key')
--   Raises     TL024
CREATE OR REPLACE FUNCTION tally.require_ordered(relation regclass, columns name[], use text)
RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE
    wrong record;
BEGIN
    SELECT a.attname, a.atttypid, p.type INTO wrong
    FROM pg_attribute a CROSS JOIN LATERAL tally.unordered_part(a.atttypid) p(type)
    WHERE a.attrelid = relation AND a.attname = ANY (columns) AND p.type IS NOT NULL ORDER BY a.attnum LIMIT 1;
    IF FOUND THEN
        PERFORM tally.fail('TL024', format('Column "%s" of %s cannot be %s: PostgreSQL has no order for %s%s.', wrong.attname, relation, use, wrong.type::regtype,
                CASE WHEN wrong.type <> wrong.atttypid THEN ', of which its type ' || wrong.atttypid::regtype || ' is made' ELSE '' END),
            format('Give the definition a column that has an order in its place: %s.',
                CASE wrong.type WHEN 'json'::regtype THEN format('%I::jsonb', wrong.attname) ELSE format('%I::text', wrong.attname) END));
    END IF;
END
$$;

-- tally.not_scalar: the first of some columns whose values cannot be elements of an array; NULL: all can. Keys are passed in arrays, one for
-- each column of the key. An array of arrays or of rows would not come back from unnest as it was. Watched arrays are passed as their
-- text, if no setting changes that.
CREATE OR REPLACE FUNCTION tally.not_scalar(relation regclass, columns name[], watched boolean)
RETURNS name LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT a.attname FROM pg_attribute a JOIN pg_type t ON t.oid = tally.base_type(a.atttypid)
        WHERE a.attrelid = relation AND a.attname = ANY (columns) AND CASE
            WHEN t.typtype = 'c' THEN true
            WHEN t.typsubscript <> 'array_subscript_handler'::regproc THEN t.typarray = 0
            ELSE NOT watched OR tally.text_setting(t.oid, 'text') IS NOT NULL OR tally.text_setting(t.oid, 'input') IS NOT NULL END
        ORDER BY a.attnum LIMIT 1);
END
$$;

-- tally.require_scalar: raise for such a column.
--   Raises     TL024
CREATE OR REPLACE FUNCTION tally.require_scalar(relation regclass, columns name[], use text)
RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE
    wrong record;
BEGIN
    SELECT a.attname, a.atttypid, t.typtype = 'c' AS composite INTO wrong
    FROM pg_attribute a JOIN pg_type t ON t.oid = tally.base_type(a.atttypid)
    WHERE a.attrelid = relation AND a.attname = tally.not_scalar(relation, columns, use LIKE 'watched%');
    IF FOUND THEN
        PERFORM tally.fail('TL024', format('Column "%s" of %s, which is %s, cannot be %s.', wrong.attname, relation, wrong.atttypid::regtype, use),
            CASE WHEN wrong.composite THEN 'Name its fields as columns of their own: (value).field AS field.'
                WHEN use LIKE 'watched%' THEN format('Keep its values in a table of their own, a row each, and join that. If the view has few keys: watch another column of %s instead, with an expand that returns every key.', relation)
                ELSE format('Show it as one value: to_jsonb(%1$I), or array_to_string(%1$I, '',''); the array itself may be a column of the identity, or any other.', wrong.attname) END);
    END IF;
END
$$;
