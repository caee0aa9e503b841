-- A schema that hides pg_catalog: functions, operators, relations and types of the same names. Each of them that runs moves the sequence evil.ran,
-- which no rollback takes back.
CREATE SCHEMA evil;
CREATE SEQUENCE evil.ran;

CREATE FUNCTION evil.make(name text, arguments text, result text, many boolean DEFAULT false)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE FUNCTION evil.%I(%s) RETURNS %s%s LANGUAGE sql AS $f$ SELECT pg_catalog.nextval(''evil.ran''); SELECT NULL::%s $f$', name, arguments,
        CASE WHEN many THEN 'SETOF ' END, result, result);
    RETURN true;
EXCEPTION WHEN duplicate_function OR invalid_function_definition THEN
    RETURN false;
END
$$;

CREATE FUNCTION evil.make_operator(name text, "left" oid, "right" oid, result oid)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    function text := 'operator_' || pg_catalog.nextval('evil.numbers');
BEGIN
    IF evil.make(function, concat_ws(',', format_type(nullif("left", 0), NULL), format_type("right", NULL)), format_type(result, NULL)) THEN
        EXECUTE format('CREATE OPERATOR evil.%s (FUNCTION = evil.%I %s, RIGHTARG = %s)', name, function, ', LEFTARG = ' || format_type(nullif("left", 0), NULL), format_type("right", NULL));
    END IF;
EXCEPTION WHEN duplicate_function THEN NULL;
END
$$;
CREATE SEQUENCE evil.numbers;

-- those of pg_catalog, with the same arguments
SELECT count(evil.make(p.proname, CASE WHEN p.provariadic <> 0 THEN regexp_replace(a.types, '([^ ]+)$', 'VARIADIC \1') ELSE a.types END, format_type(p.prorettype, NULL), p.proretset))
FROM pg_proc p JOIN pg_type r ON r.oid = p.prorettype AND r.typtype <> 'p' CROSS JOIN LATERAL oidvectortypes(p.proargtypes) a(types)
WHERE p.pronamespace = 'pg_catalog'::regnamespace AND a.types !~ 'any|internal|cstring|record' AND p.proname <> 'make';
SELECT count(evil.make_operator(o.oprname, o.oprleft, o.oprright, o.oprresult))
FROM pg_operator o WHERE o.oprnamespace = 'pg_catalog'::regnamespace AND NOT EXISTS (
    SELECT FROM pg_type t WHERE t.oid IN (o.oprleft, o.oprright, o.oprresult) AND t.typtype = 'p');
-- what suits better than a polymorphic one, or than one to which its arguments are cast
SELECT count(evil.make(f.name, f.arguments, f.result, f.many)) FROM (VALUES
    ('unnest', 'text[]', 'text', true), ('unnest', 'name[]', 'name', true), ('unnest', 'integer[]', 'integer', true), ('unnest', 'bigint[]', 'bigint', true), ('unnest', 'smallint[]', 'smallint', true),
    ('array_agg', 'name', 'name[]', false), ('cardinality', 'text[]', 'integer', false), ('cardinality', 'name[]', 'integer', false), ('array_to_string', 'text[],text', 'text', false),
    ('array_position', 'name[],name', 'integer', false), ('to_jsonb', 'text', 'jsonb', false), ('quote_literal', 'regclass', 'text', false), ('quote_ident', 'name', 'text', false),
    ('format', 'text,text', 'text', false), ('format', 'text,name', 'text', false), ('format', 'text,regclass', 'text', false), ('format', 'text,text,text', 'text', false), ('format', 'text,name,text', 'text', false),
    ('format', 'text,name,name', 'text', false), ('format', 'text,regclass,text', 'text', false), ('count', 'text', 'bigint', false), ('count', 'name', 'bigint', false),
    ('concat_ws', 'text,text,text', 'text', false), ('jsonb_build_object', 'text,text', 'jsonb', false), ('generate_subscripts', 'name[],integer', 'integer', true), ('fail', 'text,text', 'void', false)) f(name, arguments, result, many);
SELECT count(evil.make_operator(o.name, o."left"::regtype, o."right"::regtype, 'boolean'::regtype)) FROM (VALUES
    ('=', 'name', 'text'), ('<>', 'name', 'text'), ('||', 'name', 'text'), ('||', 'text', 'name'), ('||', 'text', 'integer'), ('=', 'oid', 'regclass'), ('=', 'regclass', 'oid'), ('=', 'regclass', 'regclass'),
    ('<>', 'regclass', 'regclass'), ('||', 'text[]', 'text'), ('||', 'name[]', 'name'), ('=', 'name[]', 'name[]'), ('=', 'text[]', 'text[]'), ('<>', 'name[]', 'name[]'), ('@>', 'name[]', 'name[]'),
    ('<@', 'name[]', 'name[]'), ('@>', 'text[]', 'text[]'), ('~', 'name', 'text'), ('=', '"char"', 'text'), ('=', 'integer', 'smallint')) o(name, "left", "right");
SELECT format('CREATE TABLE evil.%I (trap int)', c.relname) FROM pg_class c WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind IN ('r', 'v') \gexec
SELECT format('CREATE DOMAIN evil.%I AS pg_catalog.int4 CHECK (pg_catalog.nextval(''evil.ran'') < 0)', t.typname)
FROM pg_type t WHERE t.typnamespace = 'pg_catalog'::regnamespace AND t.typtype IN ('b', 'd', 'e', 'r') AND t.typname !~ '^_' AND t.typrelid = 0 \gexec
SELECT setval('evil.ran', 1, false);
