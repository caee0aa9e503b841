-- tally.generate_log: the trigger function that appends the changed IDs of one source.
--   Makes     <projection>_log_<n>(), one function for INSERT, UPDATE, DELETE and TRUNCATE. It is SECURITY DEFINER, so that
--             writers need no right on the delta table. For a partitioned source also what tally.generate_moves makes
--   Notes     No write of the application fails because of it, whatever a migration did (see tally.sql_logged). If it
--             cannot write the delta table, it notes that (tally.note_unlogged)
CREATE OR REPLACE FUNCTION tally.generate_log(v tally.derived_view, s tally.source, definition regclass)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $generator$
DECLARE
    log    text    := tally.part(v, '_log_' || s.ordinal);
    parted boolean := tally.is_partitioned(s.relation);
BEGIN
    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {log}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off{pins} AS $body$
#variable_conflict use_column
{variables}
BEGIN
    {return_unlogged}
    {sweep_without_types}
    IF TG_OP = 'INSERT' THEN
        {end_insert}
        {log_new}
    ELSIF TG_OP = 'UPDATE' THEN
        {end_update}
        {log_updated}
    ELSIF TG_OP = 'DELETE' THEN
        {log_old}
    ELSE
        INSERT INTO {delta} (tally_source) VALUES ({sweep});  -- TRUNCATE: every key
    END IF;
    RETURN NULL;
END
$body$ $template$, jsonb_build_object(
        'log',                 log,
        'pins',                tally.sql_pins_of_log(s),
        'variables',           CASE WHEN parted THEN E'DECLARE\n    tally_flag text;' ELSE '' END,
        'delta',               tally.part(v, '_delta'),
        'return_unlogged',     tally.sql_return_unlogged(v),
        'sweep',               tally.delta_code('sweep'),
        'sweep_without_types', tally.sql_sweep_without_types(v, s),
        'end_insert',          CASE WHEN parted THEN tally.sql_end_statement(v, s, 'inserting') ELSE '' END,
        'log_new',             tally.sql_log(v, s, 'new_rows'),
        'end_update',          CASE WHEN parted THEN tally.sql_log_unseen(v, s) ELSE '' END,
        'log_updated',         tally.sql_log_updated(v, s, definition),
        'log_old',             tally.sql_log(v, s, 'old_rows')));
    PERFORM tally.seal(log || '()', format('appends to %s what changed in %s', tally.part(v, '_delta'), s.relation));
    IF parted THEN
        PERFORM tally.generate_moves(v, s);
    END IF;
END
$generator$;

-- tally.is_partitioned: whether a table is partitioned.
CREATE OR REPLACE FUNCTION tally.is_partitioned(relation regclass)
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT c.relkind = 'p' FROM pg_class c WHERE c.oid = relation
$$;

-- tally.bare_type: a column's type as SQL, without its modifier, so that no value is too long for it. For a domain it is the type below
-- (tally.plain_type).
CREATE OR REPLACE FUNCTION tally.bare_type(relation regclass, col name)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format_type(tally.base_type(a.atttypid), -1) FROM pg_attribute a WHERE a.attrelid = relation AND a.attname = col AND NOT a.attisdropped
$$;

-- tally.sql_watched_type: the type that a watched column has when the code is generated, as a constant.
CREATE OR REPLACE FUNCTION tally.sql_watched_type(s tally.source, col name)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('%L::regtype', a.atttypid::regtype) FROM pg_attribute a WHERE a.attrelid = s.relation AND a.attname = col
$$;

-- tally.sql_cast_watched: a watched column, cast to its type in the delta table, by way of text, so that the statement can still be
-- parsed after the column gets another type.
CREATE OR REPLACE FUNCTION tally.sql_cast_watched(v tally.derived_view, s tally.source, i integer)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format(CASE WHEN a.atttypid::regtype::text !~ '^reg' THEN 'CAST(%I::text AS %s)' ELSE 'CAST(%I AS %s)' END, a.attname,  -- of a regproc the text may name several
                  tally.bare_type(CASE WHEN s.expand IS NULL THEN v.definition ELSE s.relation END, CASE WHEN s.expand IS NULL THEN v.key[i] ELSE s.columns[i] END))
    FROM pg_attribute a WHERE a.attrelid = s.relation AND a.attname = s.columns[i]
$$;

-- tally.sql_text_watched: what a watched column is cast from (see tally.sql_cast_watched), to be compared: equal texts give one value.
CREATE OR REPLACE FUNCTION tally.sql_text_watched(s tally.source, col name)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format(CASE WHEN a.atttypid::regtype::text !~ '^reg' THEN '%I::text COLLATE "C"' ELSE 'ROW(%I)::record' END, a.attname)
    FROM pg_attribute a WHERE a.attrelid = s.relation AND a.attname = col
$$;

-- tally.sql_same_text: whether the watched columns of n and o (see tally.sql_logged, unchecked) have the same values.
CREATE OR REPLACE FUNCTION tally.sql_same_text(s tally.source)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(format(CASE WHEN a.atttypid::regtype::text !~ '^reg' THEN 'n.%1$I IS NOT DISTINCT FROM o.%1$I' ELSE 'n.%1$I *= o.%1$I' END, 'tally_text_' || u.i), ' AND ' ORDER BY u.i)
    FROM unnest(s.columns) WITH ORDINALITY AS u(c, i) JOIN pg_attribute a ON a.attrelid = s.relation AND a.attname = u.c
$$;

-- tally.sql_pins_of_log: SET clauses with which the text of the watched columns is read as it was printed.
CREATE OR REPLACE FUNCTION tally.sql_pins_of_log(s tally.source)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = s.relation AND a.attname = ANY (s.columns) AND tally.text_setting(a.atttypid, 'text') IS NOT NULL)
                THEN ' SET timezone = ''UTC'' SET datestyle = ''ISO, YMD'' SET intervalstyle = ''postgres'' SET extra_float_digits = 1' ELSE '' END
$$;

-- tally.sql_logged: SELECT from a transition table. Its columns: tally_ok: the watched columns have the names and types that the code was
-- generated for; tally_1, tally_2 …: their values, in the types of the delta table; tally_image: what the definition sees of the row.
--   Parameters seen: the columns that go into tally_image, 'NULL' for none, '{}' for the whole row; transition: new_rows, old_rows;
--              checked: without it, the values may be used only of rows with tally_ok, and there are their texts too: tally_text_1 …
--   Notes      No write may fail because a column was renamed or got another type. A name that the table no longer has is resolved one
--              level further out, in tally_gone. For a watched column, the column there has another type: so tally_ok is false, and
--              the caller logs a sweep. For a column that is only used, its value always differs between new and old rows
DROP FUNCTION IF EXISTS tally.sql_logged(tally.derived_view, tally.source, name[], text);  -- it had fewer parameters
CREATE OR REPLACE FUNCTION tally.sql_logged(v tally.derived_view, s tally.source, seen name[], transition text, checked boolean DEFAULT true)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $generator$
    SELECT tally.render($template$SELECT w.*
FROM (SELECT {gone}) AS tally_gone
CROSS JOIN LATERAL (
    SELECT {ok} AS tally_ok,
        {values}{image}
    FROM {transition} AS tally_r) AS w$template$, jsonb_build_object(
        'gone',       (SELECT string_agg(format('%s::%s AS %I', CASE WHEN c = ANY (s.columns) THEN 'NULL' ELSE quote_literal(transition) END,
                                                  CASE WHEN tally.type_of(s.relation, c) = 'name' THEN 'text' ELSE 'name' END, c), ', ' ORDER BY c COLLATE "C")
                       FROM (SELECT unnest(s.columns || seen) UNION SELECT unnest(s.columns)) AS u(c)),
        'ok',         (SELECT string_agg(format('pg_typeof(%I) = %s', c, tally.sql_watched_type(s, c)), ' AND ' ORDER BY i) FROM unnest(s.columns) WITH ORDINALITY AS u(c, i)),
        'values',     (SELECT string_agg(format(CASE WHEN checked THEN 'CASE WHEN pg_typeof(%1$I) = %2$s THEN %3$s END AS tally_%4$s' ELSE E'%3$s AS tally_%4$s,\n' || replace(tally.sql_text_watched(s, c), '%', '%%') || ' AS tally_text_%4$s' END,
                                                  c, tally.sql_watched_type(s, c), tally.sql_cast_watched(v, s, i::integer), i), E',\n' ORDER BY i)
                       FROM unnest(s.columns) WITH ORDINALITY AS u(c, i)),
        'image',      CASE WHEN seen IS NULL THEN '' WHEN seen = '{}' THEN E',\nROW(tally_r.*)::record AS tally_image'
                           ELSE format(E',\nROW(%s)::record AS tally_image', tally.column_list(seen)) END,
        'transition', transition))
$generator$;

-- tally.sql_sweep_without_types: statements that log a sweep if the type of a watched column was renamed.
CREATE OR REPLACE FUNCTION tally.sql_sweep_without_types(v tally.derived_view, s tally.source)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $generator$
    SELECT CASE WHEN count(*) = 0 THEN '' ELSE tally.render($template$IF {gone} THEN
    INSERT INTO {delta} (tally_source) VALUES ({sweep});
    RETURN NULL;
END IF;$template$, jsonb_build_object(
        'gone',  string_agg(DISTINCT format('to_regtype(%L) IS NULL', t.oid::regtype), ' OR '),
        'delta', tally.part(v, '_delta'),
        'sweep', tally.delta_code('sweep'))) END
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = s.relation AND a.attname = ANY (s.columns) AND t.typnamespace <> 'pg_catalog'::regnamespace
$generator$;

-- tally.columns_behind: the columns that a generated column is computed from.
CREATE OR REPLACE FUNCTION tally.columns_behind(source regclass, col name)
RETURNS SETOF name LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT b.attname FROM pg_attribute a JOIN pg_attrdef e ON e.adrelid = a.attrelid AND e.adnum = a.attnum
    JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = e.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid
    JOIN pg_attribute b ON b.attrelid = a.attrelid AND b.attnum = d.refobjsubid AND b.attnum <> a.attnum
    WHERE a.attrelid = source AND a.attname = col AND a.attgenerated <> ''
$$;

-- tally.shows_whole_rows: whether a definition uses whole rows of some table (to_jsonb(t), for example).
CREATE OR REPLACE FUNCTION tally.shows_whole_rows(definition regclass)
RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM tally.views_under(definition) u
                   CROSS JOIN LATERAL (SELECT r.ev_action::text AS tree FROM pg_rewrite r WHERE r.ev_class = u OFFSET 0) x  -- not the trees of all views
                   WHERE x.tree ~ ':varattno 0 ')
$$;

-- tally.columns_seen: the columns of a source that decide whether an UPDATE changed anything: the watched ones and those that the definition
-- uses. A virtual column is replaced by the columns that it is computed from, because triggers do not see its value. '{}': the whole row.
CREATE OR REPLACE FUNCTION tally.columns_seen(definition regclass, s tally.source)
RETURNS name[] LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN tally.shows_whole_rows(definition) AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = s.relation AND a.attgenerated = 'v') THEN '{}'
        ELSE ARRAY(SELECT a.attname FROM pg_attribute a
                   WHERE a.attrelid = s.relation AND a.attgenerated <> 'v' AND a.attname IN (
                       SELECT unnest(s.columns) UNION SELECT unnest(u.columns) UNION SELECT tally.columns_behind(s.relation, c) FROM unnest(u.columns) c)
                   ORDER BY a.attname COLLATE "C") END
    FROM (SELECT tally.columns_used(definition, s.relation) AS columns) u
$$;

-- tally.equal_is_identical: whether equal values of the watched columns are always identical, so that DISTINCT drops only duplicates. This is
-- not so for numeric (1.0 = 1.00), citext and nondeterministic collations. It is false for json too, which has no equality.
CREATE OR REPLACE FUNCTION tally.equal_is_identical(s tally.source)
RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT NOT EXISTS (
        SELECT FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_collation c ON c.oid = a.attcollation
        WHERE a.attrelid = s.relation AND a.attname = ANY (s.columns) AND (NOT coalesce(c.collisdeterministic, true) OR t.typtype <> 'e' AND NOT EXISTS (
            SELECT FROM pg_opclass o JOIN pg_am m ON m.oid = o.opcmethod AND m.amname = 'btree'
            JOIN pg_amproc p ON p.amprocfamily = o.opcfamily AND p.amproclefttype = o.opcintype AND p.amprocrighttype = o.opcintype AND p.amprocnum = 4
            WHERE o.opcdefault AND o.opcintype = CASE WHEN t.oid = 'varchar'::regtype THEN 'text'::regtype ELSE t.oid END)))
$$;

-- tally.logs_arrays: whether many changed keys of a source are logged as arrays, thousands in one delta row (a wide change). This costs a
-- writer much less than a row each. The watched columns must be the key, without array columns: an array of arrays needs them of one length.
CREATE OR REPLACE FUNCTION tally.logs_arrays(v tally.derived_view, s tally.source)
RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT s.expand IS NULL AND NOT EXISTS (
        SELECT FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE a.attrelid = v.definition AND a.attname = ANY (v.key) AND t.typcategory = 'A')
$$;

-- tally.sql_logged_target: the columns of the delta table that the watched columns of a source are logged in.
CREATE OR REPLACE FUNCTION tally.sql_logged_target(v tally.derived_view, s tally.source)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT string_agg(quote_ident(CASE WHEN s.expand IS NULL THEN v.key[i] ELSE tally.logged_column(s.ordinal, s.columns[i]) END), ', ' ORDER BY i)
    FROM generate_subscripts(s.columns, 1) i
$$;

-- tally.sql_log_rows: INSERT of logged rows, one delta row each.
--   Parameters logged: SELECT as of tally.sql_logged; once: leave out duplicates
CREATE OR REPLACE FUNCTION tally.sql_log_rows(v tally.derived_view, s tally.source, logged text, once boolean)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $generator$
    SELECT tally.render($template$INSERT INTO {delta} (tally_source, {target})
SELECT {distinct}CASE WHEN r.tally_ok THEN {code} ELSE {sweep} END, {values} FROM (
    {logged}) AS r$template$, jsonb_build_object(
        'delta',    tally.part(v, '_delta'),
        'target',   tally.sql_logged_target(v, s),
        'distinct', CASE WHEN once AND tally.equal_is_identical(s) THEN 'DISTINCT ' ELSE '' END,
        'code',     CASE WHEN s.expand IS NULL THEN tally.delta_code('key') ELSE s.ordinal END,
        'sweep',    tally.delta_code('sweep'),
        'values',   tally.column_list(tally.numbered(s.columns, 'tally_'), 'r.'),
        'logged',   logged))
$generator$;

-- tally.sql_log_arrays: INSERT of logged rows as arrays of keys, up to 5,000 a row.
CREATE OR REPLACE FUNCTION tally.sql_log_arrays(v tally.derived_view, s tally.source, logged text)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $generator$
    SELECT tally.render($template$INSERT INTO {delta} (tally_source, tally_upto, {arrays})
SELECT CASE WHEN bool_and(r.tally_ok) THEN {wide} ELSE {sweep} END, CASE WHEN bool_and(r.tally_ok) THEN pg_current_xact_id() END, {values} FROM (
    SELECT (row_number() OVER () - 1) / 5000 AS tally_part, r.* FROM (
        {logged}) AS r) AS r
GROUP BY r.tally_part$template$, jsonb_build_object(
        'delta',  tally.part(v, '_delta'),
        'arrays', tally.column_list(tally.numbered(v.key)),
        'wide',   tally.delta_code('wide'),
        'sweep',  tally.delta_code('sweep'),
        'values', (SELECT string_agg(format('CASE WHEN bool_and(r.tally_ok) THEN array_agg(r.tally_%s) END', i), ', ' ORDER BY i) FROM generate_subscripts(v.key, 1) i),
        'logged', logged))
$generator$;

-- tally.sql_log_many: INSERT of logged rows, as arrays if possible.
CREATE OR REPLACE FUNCTION tally.sql_log_many(v tally.derived_view, s tally.source, logged text)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN tally.logs_arrays(v, s) THEN tally.sql_log_arrays(v, s, logged) ELSE tally.sql_log_rows(v, s, logged, true) END
$$;

-- tally.sql_log_known: INSERT of logged rows whose watched columns have the types that the code was generated for.
--   Parameters logged: FROM clause; row: the alias there of the rows to be logged, as of tally.sql_logged, unchecked
CREATE OR REPLACE FUNCTION tally.sql_log_known(v tally.derived_view, s tally.source, logged text, "row" text)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $generator$
    SELECT tally.render($template$INSERT INTO {delta} (tally_source, {target})
SELECT {code}, {values}
FROM {logged}$template$, jsonb_build_object(
        'delta',  tally.part(v, '_delta'),
        'target', tally.sql_logged_target(v, s),
        'code',   CASE WHEN s.expand IS NULL THEN tally.delta_code('key') ELSE s.ordinal END,
        'values', tally.column_list(tally.numbered(s.columns, 'tally_'), "row" || '.'),
        'logged', logged))
$generator$;

-- tally.sql_gather_few: SELECT of the keys in a transition table as arrays, and their number (5,001 if there are more than 5,000).
CREATE OR REPLACE FUNCTION tally.sql_gather_few(v tally.derived_view, s tally.source, transition text)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $generator$
    SELECT tally.render('SELECT count(*) AS tally_rows, {arrays} FROM (SELECT * FROM {transition} AS t LIMIT 5001) AS t', jsonb_build_object(
        'arrays',     (SELECT string_agg(format('array_agg(%s) AS %I', CASE WHEN tally.bare_type(s.relation, s.columns[i]) = tally.bare_type(v.definition, v.key[i])
                                                                       THEN format('CAST(t.%I AS %s)', s.columns[i], tally.bare_type(v.definition, v.key[i]))
                                                                       ELSE tally.sql_cast_watched(v, s, i) END, a.name), ', ' ORDER BY i)
                       FROM unnest(tally.numbered(v.key)) WITH ORDINALITY AS a(name, n) CROSS JOIN LATERAL (SELECT a.n::integer AS i) x),
        'transition', transition))
$generator$;

-- tally.sql_log_few: statements that log up to 5,000 rows of a transition table, or of both of an UPDATE, as one array of keys each, and
-- return. The types are looked at once, before the statement that relies on them is parsed. The old keys of an UPDATE are
-- logged only if they are not the new ones.
CREATE OR REPLACE FUNCTION tally.sql_log_few(v tally.derived_view, s tally.source, transition text, other text DEFAULT NULL)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $generator$
    SELECT tally.render($template$IF EXISTS (
    SELECT FROM (
        {logged}
        LIMIT 1) AS r WHERE r.tally_ok) THEN
    INSERT INTO {delta} (tally_source, tally_upto, {arrays})
    SELECT {wide}, pg_current_xact_id(), {found}
    FROM {gathered}
    IF FOUND THEN
        RETURN NULL;
    END IF;
END IF;$template$, jsonb_build_object(
        'logged',   tally.sql_logged(v, s, NULL, transition),
        'delta',    tally.part(v, '_delta'),
        'arrays',   tally.column_list(k.arrays),
        'wide',     tally.delta_code('wide'),
        'found',    tally.column_list(k.arrays, CASE WHEN other IS NULL THEN 'n.' ELSE 'u.' END),
        'gathered', CASE WHEN other IS NULL THEN tally.render(E'(\n    {new}) AS n\nWHERE n.tally_rows BETWEEN 1 AND 5000;', jsonb_build_object('new', tally.sql_gather_few(v, s, transition)))
                    ELSE tally.render($both$(
    {new}) AS n
CROSS JOIN (
    {old}) AS o
CROSS JOIN LATERAL (VALUES (true, {n_arrays}), (ROW({n_arrays})::record *<> ROW({o_arrays})::record, {o_arrays})) AS u(tally_log, {arrays})
WHERE n.tally_rows BETWEEN 1 AND 5000 AND o.tally_rows BETWEEN 1 AND 5000 AND u.tally_log;$both$, jsonb_build_object(
                        'new',      tally.sql_gather_few(v, s, transition),
                        'old',      tally.sql_gather_few(v, s, other),
                        'arrays',   tally.column_list(k.arrays),
                        'n_arrays', tally.column_list(k.arrays, 'n.'),
                        'o_arrays', tally.column_list(k.arrays, 'o.'))) END))
    FROM (SELECT tally.numbered(v.key) AS arrays) k
$generator$;

-- tally.sql_log: statements that log every row of a transition table. A single row takes one statement.
CREATE OR REPLACE FUNCTION tally.sql_log(v tally.derived_view, s tally.source, transition text)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $generator$
    SELECT CASE WHEN tally.logs_arrays(v, s) THEN tally.render($template${log_one}
WHERE r.tally_ok AND NOT EXISTS (SELECT FROM {transition} OFFSET 1);
IF NOT FOUND THEN
    {log_few}
    {log_many};
END IF;$template$, jsonb_build_object(
        'log_one',    tally.sql_log_known(v, s, tally.render(E'(\n    {rows}) AS r', jsonb_build_object('rows', tally.sql_logged(v, s, NULL, transition, false))), 'r'),
        'log_few',    tally.sql_log_few(v, s, transition),
        'log_many',   tally.sql_log_arrays(v, s, tally.sql_logged(v, s, NULL, transition)),
        'transition', transition))
    ELSE tally.sql_log_rows(v, s, tally.sql_logged(v, s, NULL, transition), true) || ';' END
$generator$;

-- tally.sql_pairs: SELECT of the watched columns of those old and new rows of an UPDATE that differ for the definition. An old row and its
-- new row have the same position in the two transition tables. If they had not, still no change would be lost: what is left out is a
-- pair with equal images, which the definition cannot tell apart. A FULL JOIN is used because it is never a nested loop, even if a
-- cached plan was made for another number of rows.
CREATE OR REPLACE FUNCTION tally.sql_pairs(v tally.derived_view, s tally.source, new text, old text)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $generator$
    SELECT tally.render($template$SELECT {distinct}u.*
FROM (
    SELECT row_number() OVER () AS tally_i, n.* FROM (
        {new}) AS n) AS n
FULL JOIN (
    SELECT row_number() OVER () AS tally_i, o.* FROM (
        {old}) AS o) AS o ON o.tally_i = n.tally_i
CROSS JOIN LATERAL (VALUES (n.tally_ok, {n_watched}), (o.tally_ok, {o_watched})) AS u(tally_ok, {names})
WHERE (n.tally_image *<> o.tally_image OR NOT n.tally_ok) IS NOT FALSE AND u.tally_ok IS NOT NULL$template$, jsonb_build_object(
        'distinct',  CASE WHEN tally.equal_is_identical(s) THEN 'DISTINCT ' ELSE '' END,
        'new',       new,
        'old',       old,
        'n_watched', tally.column_list(tally.numbered(s.columns, 'tally_'), 'n.'),
        'o_watched', tally.column_list(tally.numbered(s.columns, 'tally_'), 'o.'),
        'names',     tally.column_list(tally.numbered(s.columns, 'tally_'))))
$generator$;

-- tally.unique_key: the columns of the primary key, or of another unique index on all rows of a table; NULL if there is none.
CREATE OR REPLACE FUNCTION tally.unique_key(source regclass)
RETURNS name[] LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT ARRAY(SELECT a.attname FROM unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY AS k(attnum, n)
                 JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum ORDER BY k.n)
    FROM pg_index i
    WHERE i.indrelid = source AND i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
    ORDER BY i.indisprimary DESC, i.indexrelid LIMIT 1
$$;

-- tally.sql_log_updated: statements that log what an UPDATE changed. A single row takes one statement, because OLTP clients write single rows
-- and wait for them. For several rows, the first pair decides whether all are compared: mostly an UPDATE changes all of its rows or none.
CREATE OR REPLACE FUNCTION tally.sql_log_updated(v tally.derived_view, s tally.source, definition regclass)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $generator$
    SELECT tally.render($template${log_one};
IF NOT FOUND THEN
    IF EXISTS (
        SELECT {first_pair}
        WHERE {single} AND n.tally_ok AND n.tally_image *= o.tally_image) THEN
        RETURN NULL;
    ELSIF EXISTS (
        SELECT {first_pair}
        WHERE n.tally_image *<> o.tally_image OR NOT n.tally_ok) THEN
        {log_few}
        {log_all};
    ELSE
        {log_pairs};
    END IF;
END IF;$template$, jsonb_build_object(
        'log_one',    tally.sql_log_known(v, s, tally.render($one$(
    {new}) AS n
CROSS JOIN (
    {old}) AS o
WHERE n.tally_ok AND {single}
  AND {same} AND n.tally_image *<> o.tally_image$one$, jsonb_build_object(
                          'new',    tally.sql_logged(v, s, x.seen, 'new_rows', false),
                          'old',    tally.sql_logged(v, s, x.seen, 'old_rows', false),
                          'single', x.single,
                          'same',   tally.sql_same_text(s))), 'n'),
        'first_pair', x.first_pair,
        'single',     x.single,
        -- keys that are not unique in the source are better logged once, by UNION
        'log_few',    CASE WHEN tally.logs_arrays(v, s) AND tally.unique_key(s.relation) <@ s.columns THEN tally.sql_log_few(v, s, 'new_rows', 'old_rows') ELSE '' END,
        'log_all',    tally.sql_log_many(v, s, tally.render(E'{new}\nUNION{all}\n{old}', jsonb_build_object(
                          'new', tally.sql_logged(v, s, NULL, 'new_rows'),
                          'all', CASE WHEN tally.equal_is_identical(s) THEN '' ELSE ' ALL' END,
                          'old', tally.sql_logged(v, s, NULL, 'old_rows')))),
        'log_pairs',  tally.sql_log_many(v, s, tally.sql_pairs(v, s, x.new, x.old))))
    FROM (SELECT l.seen, l.new, l.old,
                 -- as many new rows as old ones, but for a MERGE that moves rows between partitions. A second look costs a tenth of the trigger
                 'NOT EXISTS (SELECT FROM new_rows OFFSET 1)' || CASE WHEN tally.is_partitioned(s.relation) THEN ' AND NOT EXISTS (SELECT FROM old_rows OFFSET 1)' ELSE '' END AS single,
                 tally.render(E'FROM (\n    {new}\n    LIMIT 1) AS n\nCROSS JOIN (\n    {old}\n    LIMIT 1) AS o', jsonb_build_object('new', l.new, 'old', l.old)) AS first_pair
          FROM (SELECT c AS seen, tally.sql_logged(v, s, c, 'new_rows') AS new, tally.sql_logged(v, s, c, 'old_rows') AS old FROM tally.columns_seen(definition, s) c) l) x
$generator$;
