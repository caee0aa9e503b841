-- Names: the names of what the engine makes for a derived view are made from the view's name.

-- tally.split_name: 'app.x' or '"My App"."X y"' as {schema, name}.
--   Raises    TL003
CREATE OR REPLACE FUNCTION tally.split_name(name text)
RETURNS name[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    parts text[];
BEGIN
    BEGIN
        parts := parse_ident(name);
    EXCEPTION WHEN invalid_parameter_value THEN
        PERFORM tally.fail('TL003', format('"%s" is not a name.', name));
    END;
    IF cardinality(parts) = 1 THEN
        parts := ARRAY[current_schema()::text, parts[1]];
    END IF;
    IF cardinality(parts) <> 2 OR octet_length(parts[2]) > 40 OR parts[1] IS NULL THEN
        PERFORM tally.fail('TL003', format('"%s" cannot name a derived view.', name));
    END IF;
    RETURN parts;
END
$$;

-- tally.full_name: a name with its schema. A bare name gets the given one, the first of the caller's search_path.
--   Raises    TL003
CREATE OR REPLACE FUNCTION tally.full_name(name text, schema name)
RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
BEGIN
    IF name IS NULL THEN
        PERFORM tally.fail('TL003', 'The name of a derived view was expected, not NULL.', 'Give the schema and the name: ''app.x'', say.');
    ELSIF cardinality(parse_ident(name)) > 1 THEN
        RETURN name;
    ELSIF schema IS NULL THEN
        PERFORM tally.fail('TL003', format('"%s" has no schema, and search_path leads to none.', name), 'Give the schema and the name: ''app.x'', say.');
    END IF;
    RETURN format('%I.%I', schema, (parse_ident(name))[1]);
EXCEPTION WHEN invalid_parameter_value THEN
    PERFORM tally.fail('TL003', format('"%s" is not a name.', name));
    RETURN NULL;
END
$$;

-- tally.run_in: run a statement with the given search_path.
CREATE OR REPLACE FUNCTION tally.run_in(path text, statement text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
BEGIN
    PERFORM set_config('search_path', path, true);
    EXECUTE statement;
END
$$;

-- tally.relation_named: the relation that a name leads to with a search_path; NULL if there is none. With a schema it is found in the catalog, also if
-- the caller may not use the schema.
--   Raises    TL003
CREATE OR REPLACE FUNCTION tally.relation_named(name text, path text)
RETURNS regclass LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    parts text[];
BEGIN
    parts := parse_ident(name);
    IF cardinality(parts) = 2 AND parts[1] <> 'pg_temp' THEN
        RETURN (SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = parts[1] AND c.relname = parts[2]);
    END IF;
    PERFORM set_config('search_path', path, true);
    RETURN pg_catalog.to_regclass(name);
EXCEPTION WHEN invalid_parameter_value OR syntax_error OR invalid_name OR feature_not_supported THEN
    PERFORM tally.fail('TL003', pg_catalog.concat('"', name, '" is not a name.'));
    RETURN NULL;
END
$$;

-- tally.part: the quoted name of something that was made for a derived view.
--   Parameters v, suffix: '' the table itself, '_live', '_delta', '_def', '_apply' …
CREATE OR REPLACE FUNCTION tally.part(v tally.derived_view, suffix text DEFAULT '')
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format('%I.%I', v.schema_name, v.relation_name || CASE WHEN suffix = '_def' AND v.kind = 'rollup' AND v.definition IS NOT NULL THEN '_oracle' ELSE suffix END)
$$;

-- tally.suffix_of: the suffix that is added to a derived view's name for something made for it. It is the suffix given, with one exception:
-- the oracle of a rollup that a view was split into is called <name>_oracle, because <name>_def may be the user's view.
CREATE OR REPLACE FUNCTION tally.suffix_of(v tally.derived_view, suffix text)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN suffix = '_def' AND v.kind = 'rollup' AND v.definition IS NOT NULL THEN '_oracle' ELSE suffix END
$$;

-- tally.name_of: the name of a derived view as status, due and health show it, whatever the session's quote_all_identifiers is.
CREATE OR REPLACE FUNCTION tally.name_of(schema_name name, relation_name name)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on SET quote_all_identifiers = off AS $$
    SELECT format('%I.%I', schema_name, relation_name)
$$;

-- tally.shown: the same for any relation. It has its schema if the session's search_path does not find it.
CREATE OR REPLACE FUNCTION tally.shown(relation regclass)
RETURNS text LANGUAGE sql STABLE SET quote_all_identifiers = off AS $$
    SELECT relation::pg_catalog.text
$$;

-- tally.column_list: quoted column names, each with a prefix (such as an alias and a dot), joined.
CREATE OR REPLACE FUNCTION tally.column_list(columns name[], prefix text DEFAULT '', separator text DEFAULT ', ')
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(string_agg(prefix || quote_ident(c), separator ORDER BY n), '')
    FROM unnest(columns) WITH ORDINALITY AS u(c, n)
$$;

-- tally.columns_of: the columns of a relation, in order.
CREATE OR REPLACE FUNCTION tally.columns_of(relation regclass)
RETURNS name[] LANGUAGE sql STABLE AS $$
    SELECT array_agg(attname ORDER BY attnum) FROM pg_attribute
    WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped
$$;

-- tally.nullable_type: a domain as SQL; for a domain that refuses NULL, the first type below it that allows NULL.
CREATE OR REPLACE FUNCTION tally.nullable_type(type oid)
RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    under record;
BEGIN
    BEGIN
        EXECUTE format('SELECT NULL::%s', type::regtype);
        RETURN type::regtype;
    EXCEPTION WHEN not_null_violation OR check_violation THEN
        SELECT t.typbasetype, t.typtypmod, b.typtype INTO under FROM pg_type t JOIN pg_type b ON b.oid = t.typbasetype WHERE t.oid = nullable_type.type;
    END;
    RETURN CASE WHEN under.typtype = 'd' THEN tally.nullable_type(under.typbasetype) ELSE format_type(under.typbasetype, under.typtypmod) END;
END
$$;

-- tally.type_of: a column's type as SQL, with its modifier. For a domain that refuses NULL it is the type below, because an outer
-- join returns NULL for it.
CREATE OR REPLACE FUNCTION tally.type_of(relation regclass, col name)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN t.typtype = 'd' THEN tally.nullable_type(t.oid) ELSE format_type(a.atttypid, a.atttypmod) END
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = relation AND a.attname = col AND a.attnum > 0 AND NOT a.attisdropped
$$;

-- tally.under_domains: the type under a domain, or under a domain over a domain, with its modifier; any other type as it is.
CREATE OR REPLACE FUNCTION tally.under_domains(INOUT type oid, INOUT modifier integer)
LANGUAGE sql STABLE AS $$
    WITH RECURSIVE under(type, modifier) AS (
        VALUES (under_domains.type, under_domains.modifier)
        UNION ALL
        SELECT t.typbasetype, t.typtypmod FROM under u JOIN pg_type t ON t.oid = u.type AND t.typtype = 'd')
    SELECT u.type, u.modifier FROM under u JOIN pg_type t ON t.oid = u.type AND t.typtype <> 'd'
$$;

-- tally.plain_type: a type as SQL; for a domain, the type below it. What the engine makes for itself has no domains: a new check of a domain would look at
-- the engine's columns too (also at rows that name no key, where they are NULL), and PostgreSQL refuses it as long as there is an array of the domain in a
-- table or in a function's body. The user's migration would fail.
CREATE OR REPLACE FUNCTION tally.plain_type(type oid, modifier integer)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format_type(u.type, u.modifier) FROM tally.under_domains(plain_type.type, plain_type.modifier) u
$$;

-- tally.plain_type: the same for a column's type.
CREATE OR REPLACE FUNCTION tally.plain_type(relation regclass, col name)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT tally.plain_type(a.atttypid, a.atttypmod) FROM pg_attribute a WHERE a.attrelid = relation AND a.attname = col AND a.attnum > 0 AND NOT a.attisdropped
$$;

-- tally.null_type: a type, as SQL; for a domain that refuses NULL, the type below it.
CREATE OR REPLACE FUNCTION tally.null_type(type oid)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE t.typtype WHEN 'd' THEN tally.nullable_type(t.oid) ELSE format_type(t.oid, NULL) END FROM pg_type t WHERE t.oid = null_type.type
$$;

-- tally.refuses_null: whether a column's type is a domain that refuses NULL.
CREATE OR REPLACE FUNCTION tally.refuses_null(relation regclass, col name)
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid AND t.typtype = 'd'
                   WHERE a.attrelid = relation AND a.attname = col AND a.attnum > 0 AND tally.nullable_type(t.oid) <> t.oid::regtype::text)
$$;

-- tally.allow_nulls: change columns of an empty derived table to the types that tally.type_of returns. A domain that refuses NULL would
-- not do, because an outer join returns NULL for it, and so does a row that stands for its key alone.
CREATE OR REPLACE FUNCTION tally.allow_nulls(relation regclass)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    c name;
BEGIN
    FOREACH c IN ARRAY tally.columns_of(relation) LOOP
        IF tally.refuses_null(relation, c) THEN
            EXECUTE format('ALTER TABLE %s ALTER COLUMN %I TYPE %s%s', relation, c, tally.type_of(relation, c), tally.sql_collate(relation, c));
        END IF;
    END LOOP;
END
$$;

-- tally.list_as_stored: columns of a definition, joined, in the types that the derived table has (tally.allow_nulls).
CREATE OR REPLACE FUNCTION tally.list_as_stored(definition regclass, stored regclass, columns name[], prefix text)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT string_agg(CASE WHEN d.atttypid <> s.atttypid AND tally.refuses_null(definition, c)
                           THEN format('CAST(%s%I AS %s)', prefix, c, format_type(s.atttypid, s.atttypmod)) ELSE format('%s%I', prefix, c) END, ', ' ORDER BY n)
    FROM unnest(columns) WITH ORDINALITY AS u(c, n)
    LEFT JOIN pg_attribute d ON d.attrelid = definition AND d.attname = c
    LEFT JOIN pg_attribute s ON s.attrelid = stored AND s.attname = c
$$;

-- tally.typed_list, tally.type_list: columns of a derived table with their types ('id bigint, day date'), and the types alone, joined: for functions that
-- users call. These keep their signature when a domain begins to refuse NULL.
DROP FUNCTION IF EXISTS tally.typed_list(regclass, name[], text, name[], text, text), tally.type_list(regclass, name[], text);  -- they had more parameters
CREATE OR REPLACE FUNCTION tally.typed_list(stored regclass, columns name[])
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT string_agg(format('%I %s', c, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY n)
    FROM unnest(columns) WITH ORDINALITY AS u(c, n) JOIN pg_attribute a ON a.attrelid = stored AND a.attname = c AND NOT a.attisdropped
$$;
CREATE OR REPLACE FUNCTION tally.type_list(stored regclass, columns name[])
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT string_agg(format_type(a.atttypid, a.atttypmod), ', ' ORDER BY n)
    FROM unnest(columns) WITH ORDINALITY AS u(c, n) JOIN pg_attribute a ON a.attrelid = stored AND a.attname = c AND NOT a.attisdropped
$$;

-- tally.plain_list: columns of a relation with their types, without domains (tally.plain_type), joined: for the engine's own functions.
--   Parameters suffix: follows each type, such as '[]'; names: other names for the columns; mode: precedes each, such as 'OUT ';
--              separator: '; ' for variables
CREATE OR REPLACE FUNCTION tally.plain_list(relation regclass, columns name[], suffix text DEFAULT '', names name[] DEFAULT NULL, mode text DEFAULT '', separator text DEFAULT ', ')
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT string_agg(format('%s%I %s%s', mode, coalesce(names[n], c), tally.plain_type(relation, c), suffix), separator ORDER BY n)
    FROM unnest(columns) WITH ORDINALITY AS u(c, n)
$$;

-- tally.plain_types: the types alone: the arguments in a function's signature.
CREATE OR REPLACE FUNCTION tally.plain_types(relation regclass, columns name[], suffix text DEFAULT '')
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT string_agg(tally.plain_type(relation, c) || suffix, ', ' ORDER BY n) FROM unnest(columns) WITH ORDINALITY AS u(c, n)
$$;

-- tally.numbered: tally_keys_1, tally_keys_2 …: one name for each column of a key. They cannot clash with users' names.
CREATE OR REPLACE FUNCTION tally.numbered(columns name[], prefix text DEFAULT 'tally_keys_')
RETURNS name[] LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg((prefix || i)::name ORDER BY i) FROM generate_subscripts(columns, 1) i
$$;

-- tally.require_columns: raise TL006 for the first column that a relation does not have.
CREATE OR REPLACE FUNCTION tally.require_columns(relation regclass, columns name[])
RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE
    missing name;
BEGIN
    IF coalesce(cardinality(columns), 0) = 0 THEN
        PERFORM tally.fail('TL018', format('No column of %s is named.', relation));
    END IF;
    SELECT c INTO missing FROM unnest(columns) c WHERE c <> ALL (tally.columns_of(relation)) LIMIT 1;
    IF FOUND THEN
        PERFORM tally.fail('TL006', format('%s has no column "%s".', relation, missing));
    END IF;
END
$$;

-- tally.require_own_name: raise TL002 for a column name that generated code may use itself, or that no table can have.
CREATE OR REPLACE FUNCTION tally.require_own_name(col name)
RETURNS void LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF starts_with(col, 'tally_') THEN
        PERFORM tally.fail('TL002', format('Column "%s": names that begin with tally_ are the engine''s.', col));
    ELSIF col IN ('tableoid', 'cmax', 'xmax', 'cmin', 'xmin', 'ctid') THEN
        PERFORM tally.fail('TL002', format('Column "%s": no table can have a column of this name.', col), 'Give the column another name in the view.');
    END IF;
END
$$;

-- tally.fixed_path: the search_path of generated functions. It has no schema in which another user may create objects, not even that of a
-- column's type: the operators of such types are named with their schema (tally.sql_operator).
CREATE OR REPLACE FUNCTION tally.fixed_path(relation regclass)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT 'pg_catalog, pg_temp'
$$;

-- tally.delta_code: the value of tally_source in a delta row. A value above 0 is the ordinal of the source whose row changed.
--   Parameters kind: 'key' (the row names one key), 'sweep' (every key after this one), 'wide' (a part of a wide change)
CREATE OR REPLACE FUNCTION tally.delta_code(kind text)
RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE kind WHEN 'key' THEN 0 WHEN 'sweep' THEN -1 WHEN 'wide' THEN -2 END
$$;

-- tally.enqueue_sweep: enqueue every key of a projection, as a single delta row that stands for all of them. For a snapshot: that it is to be
-- refreshed. The row is written with the declarer's rights: triggers that he put on the delta table run as whoever writes.
CREATE OR REPLACE FUNCTION tally.enqueue_sweep(v tally.derived_view)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM tally.functions_made(v) f WHERE f.suffix = '_enqueue') THEN
        EXECUTE format('SELECT %s()', tally.declarers(v, '_enqueue'));
    ELSE  -- before it is activated, or of an older engine
        EXECUTE format('INSERT INTO %s (tally_source) VALUES (%s)', tally.part(v, '_delta'), tally.delta_code('sweep'));
    END IF;
END
$$;

-- tally.cut_name: a name of limited length. If it is too long, it is cut and gets a digest of the whole name at its end.
--   Parameters bytes: the limit
CREATE OR REPLACE FUNCTION tally.cut_name(name text, bytes integer)
RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT CASE WHEN octet_length(name) <= bytes THEN name
        ELSE (SELECT max(left(name, n)) FROM generate_series(0, length(name)) n WHERE octet_length(left(name, n)) <= bytes - 7)
             || '_' || left(md5(name), 6) END
$$;

-- tally.identify_rows: allow updates and deletes of a table without a primary key under any publication (such as FOR ALL TABLES). Whole
-- old rows are then logged, but only if logical replication is in use. A replica identity that the owner has chosen is kept.
CREATE OR REPLACE FUNCTION tally.identify_rows(relation regclass)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
BEGIN
    IF (SELECT c.relreplident = 'd' AND c.relkind = 'r' AND NOT EXISTS (SELECT FROM pg_index x WHERE x.indrelid = c.oid AND x.indisprimary) FROM pg_class c WHERE c.oid = relation) THEN
        EXECUTE format('ALTER TABLE %s REPLICA IDENTITY FULL', relation);
    END IF;
END
$$;
