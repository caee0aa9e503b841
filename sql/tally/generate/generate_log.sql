-- tally.generate_log: the trigger function that appends the changed IDs of one source.
--   Makes     <projection>_log_<n>(), one function for INSERT, UPDATE, DELETE and TRUNCATE: SECURITY DEFINER, so that
--             writers need no right on the delta table
CREATE OR REPLACE FUNCTION tally.generate_log(v tally.derived_view, s tally.source, definition regclass)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    name   text := tally.part(v, '_log_' || s.ordinal);
    target text := (SELECT string_agg(quote_ident(CASE WHEN s.expand IS NULL THEN v.key[i] ELSE tally.logged_column(s.ordinal, s.columns[i]) END), ', ' ORDER BY i)
                    FROM generate_subscripts(s.columns, 1) i);
    code   int := CASE WHEN s.expand IS NULL THEN tally.delta_code('key') ELSE s.ordinal END;
    parted boolean := (SELECT c.relkind = 'p' FROM pg_class c WHERE c.oid = s.relation);
BEGIN
    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {log}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = {search_path} AS $body$
{context_variable}
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO {delta} (tally_source, {target}) SELECT {distinct}{code}, {watched_r} FROM new_rows r;
    ELSIF TG_OP = 'UPDATE' THEN
        {refuse_moving_merge}
        INSERT INTO {delta} (tally_source, {target}) SELECT {code}, {watched_n} {one_row_changed};
        IF NOT FOUND THEN
            IF (EXISTS (SELECT FROM new_rows) OR EXISTS (SELECT FROM old_rows)) AND NOT EXISTS (SELECT {one_row_same}) THEN
                INSERT INTO {delta} (tally_source, {target}) SELECT {code}, {watched_r} FROM (
                    {updated}) r;
            END IF;
        END IF;
        {log_unseen}
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO {delta} (tally_source, {target}) SELECT {distinct}{code}, {watched_r} FROM old_rows r;
    ELSE
        INSERT INTO {delta} (tally_source) VALUES ({sweep});  -- TRUNCATE: every key
    END IF;
    RETURN NULL;
END
$body$ $template$, jsonb_build_object(
        'log',                 name,
        'search_path',         tally.fixed_path(s.relation),
        'delta',               tally.part(v, '_delta'),
        'target',              target,
        'code',                code,
        'sweep',               tally.delta_code('sweep'),
        'distinct',            CASE WHEN tally.is_unique(s.relation, s.columns) THEN '' ELSE 'DISTINCT ' END,
        'watched_r',           tally.column_list(s.columns, 'r.'),
        'watched_n',           tally.column_list(s.columns, 'n.'),
        'one_row_changed',     tally.sql_one_row(s, definition, true),
        'one_row_same',        tally.sql_one_row(s, definition, false),
        'updated',             tally.sql_updated(s, definition),
        'context_variable',    CASE WHEN parted THEN E'DECLARE\n    context text;' ELSE '' END,
        'refuse_moving_merge', CASE WHEN parted THEN tally.sql_sweep_if_moved(v, s) ELSE '' END,
        'log_unseen',          coalesce('INSERT INTO ' || tally.part(v, '_delta') || format(' (tally_source, %s) SELECT %s, %s FROM (', target, code,
                                   tally.column_list(s.columns, 'r.')) || tally.sql_updated_unseen(s) || ') r;', '')));
    PERFORM tally.seal(name || '()', format('appends to %s what changed in %s', tally.part(v, '_delta'), s.relation));
END
$$;

-- tally.may_merge_move: whether a trigger on a partitioned table may have been set off by a MERGE that moves rows to another partition
-- or gives them other primary keys. PostgreSQL (15 to 18) has no row of a moved one in old_rows and new_rows, and a wrong one
-- for the other: only a sweep finds their keys.
--   Parameters relation: the table that was written; context: the call stack, as PG_CONTEXT tells it; columns: of
--              tally.moving_columns, one of which the statement would have to SET
--   Reads      the text of the statement, and of what called it: too much is suspected rather than too little
CREATE OR REPLACE FUNCTION tally.may_merge_move(relation oid, context text, columns name[])
RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT (SELECT c.relkind = 'p' FROM pg_class c WHERE c.oid = relation) AND EXISTS (
        SELECT FROM (
            SELECT concat(current_query(), context)
            UNION ALL SELECT s.statement FROM pg_prepared_statements s WHERE current_query() ~* '\mexecute\M'
            UNION ALL SELECT concat(p.prosrc, pg_get_function_sqlbody(p.oid))
            FROM regexp_matches(context, 'SQL function "([^"]+)"', 'g') m JOIN pg_proc p ON p.proname = m[1]) AS t(statement)
        WHERE t.statement ~* '\mmerge\M' AND (columns IS NULL OR EXISTS (
            SELECT FROM unnest(columns) c
            WHERE replace(t.statement, '""', '"') ~* ('\mset\M((?!\mwhen\M).)*' || regexp_replace(c, '([][().*+?^$|{}\\])', '\\\1', 'g')))))
$$;

-- tally.moving_columns: the columns whose change moves a row of a partitioned table to another partition, and those of its
-- primary key. NULL: any may, for an expression decides.
CREATE OR REPLACE FUNCTION tally.moving_columns(source regclass)
RETURNS name[] LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN NOT EXISTS (SELECT FROM pg_partition_tree(source) t JOIN pg_partitioned_table p ON p.partrelid = t.relid WHERE 0 = ANY (p.partattrs))
        THEN ARRAY(
            SELECT a.attname FROM pg_partition_tree(source) t JOIN pg_partitioned_table p ON p.partrelid = t.relid
            JOIN pg_attribute a ON a.attrelid = t.relid AND a.attnum = ANY (p.partattrs)
            UNION SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
            WHERE i.indrelid = source AND i.indisprimary ORDER BY 1)
        END
$$;

-- tally.comparable: a column of a transition table (alias n), in a form in which equal means identical: types whose
-- equality is coarser (numeric 1.0 = 1.00, citext) or that have none (json) are compared as text.
CREATE OR REPLACE FUNCTION tally.comparable(source regclass, col name)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format(CASE WHEN EXISTS (
               SELECT FROM pg_opclass o JOIN pg_am m ON m.oid = o.opcmethod AND m.amname = 'btree'
               JOIN pg_amproc p ON p.amprocfamily = o.opcfamily AND p.amproclefttype = o.opcintype
                               AND p.amprocrighttype = o.opcintype AND p.amprocnum = 4
               WHERE o.opcdefault AND o.opcintype = CASE WHEN t.oid = 'varchar'::regtype THEN 'text'::regtype ELSE t.oid END)
               OR t.typtype = 'e' OR t.oid IN ('float8'::regtype, 'float4'::regtype)
          THEN 'n.%I' ELSE 'n.%I::text' END, col)
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = source AND a.attname = col
$$;

-- tally.is_unique: whether a table has a unique index on no more than these columns.
CREATE OR REPLACE FUNCTION tally.is_unique(source regclass, columns name[])
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM pg_index i
        WHERE i.indrelid = source AND i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indimmediate
          AND (SELECT array_agg(a.attname) FROM pg_attribute a
               WHERE a.attrelid = source AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1])) <@ columns)
$$;

-- tally.sql_updated: SELECT of the watched columns, once each, of what an UPDATE changed: what old and new rows, of which only the
-- used columns count, do not have in common. Rows do not meet by a key: a foreign key's action adds to the same transition tables,
-- and so one row may be there several times, under several keys.
CREATE OR REPLACE FUNCTION tally.sql_updated(s tally.source, definition regclass)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format($sql$SELECT DISTINCT %1$s FROM (
                    SELECT 1 AS tally_sign, %2$s FROM new_rows n UNION ALL SELECT -1, %3$s FROM old_rows n) b
                GROUP BY %4$s HAVING sum(tally_sign) <> 0$sql$,
        tally.column_list(s.columns),
        concat_ws(', ', tally.column_list(s.columns, 'n.'), string_agg(format('%s AS c%s', c.image, c.i), ', ' ORDER BY c.i)),
        concat_ws(', ', tally.column_list(s.columns, 'n.'), string_agg(c.image, ', ' ORDER BY c.i)),
        concat_ws(', ', tally.column_list(s.columns), string_agg('c' || c.i, ', ' ORDER BY c.i)))
    FROM (SELECT tally.comparable(s.relation, u.col) AS image, u.i
          FROM unnest(tally.columns_used(definition, s.relation)) WITH ORDINALITY AS u(col, i) WHERE u.col <> ALL (s.columns)) c
$$;

-- tally.sql_one_row: FROM and WHERE that say whether an UPDATE was of a single row (n as it is, o as it was), and whether that row
-- changed in a used column, though not in the watched ones (changed), or stayed the same. That is what an OLTP writer sends, and
-- waits for: asked in one statement, it costs a fraction of tally.sql_updated.
CREATE OR REPLACE FUNCTION tally.sql_one_row(s tally.source, definition regclass, changed boolean)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('FROM new_rows n CROSS JOIN old_rows o WHERE NOT EXISTS (SELECT FROM new_rows OFFSET 1) AND NOT EXISTS (SELECT FROM old_rows OFFSET 1) '
               || CASE WHEN changed THEN 'AND ROW(%1$s)::record *= ROW(%2$s)::record AND ROW(%3$s)::record *<> ROW(%4$s)::record'
                       ELSE 'AND ROW(%3$s)::record *= ROW(%4$s)::record' END,
        tally.column_list(s.columns, 'n.'), tally.column_list(s.columns, 'o.'), tally.column_list(c.seen, 'n.'), tally.column_list(c.seen, 'o.'))
    FROM (SELECT ARRAY(SELECT DISTINCT u FROM unnest(s.columns || tally.columns_used(definition, s.relation)) u ORDER BY u)) AS c(seen)
$$;

-- tally.sql_updated_unseen: SELECT of the watched columns of rows of a partitioned table that an UPDATE changed and whose new rows are
-- not there: of a MERGE that inserts before it updates, PostgreSQL's new rows hold the inserted row in place of each updated one.
-- They are looked up by primary key. NULL: the table is not partitioned, or has none.
CREATE OR REPLACE FUNCTION tally.sql_updated_unseen(s tally.source)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('SELECT DISTINCT %s FROM old_rows o JOIN %s w ON %s WHERE NOT EXISTS (SELECT FROM new_rows n WHERE %s)',
        tally.column_list(s.columns, 'w.'), s.relation,
        tally.sql_same(s.relation, array_agg(a.attname), 'w', 'o'), tally.sql_same(s.relation, array_agg(a.attname), 'n', 'o'))
    FROM pg_class c JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
    WHERE c.oid = s.relation AND c.relkind = 'p'
    HAVING count(*) > 0
$$;

-- tally.sql_sweep_if_moved: statements of the trigger function: after a MERGE that may have moved rows, every key.
CREATE OR REPLACE FUNCTION tally.sql_sweep_if_moved(v tally.derived_view, s tally.source)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT tally.render($template$GET DIAGNOSTICS context = PG_CONTEXT;
IF tally.may_merge_move(TG_RELID, context, {columns}) THEN
    INSERT INTO {delta} (tally_source) VALUES ({sweep});
    RETURN NULL;
END IF;$template$, jsonb_build_object(
        'columns', format('%L', tally.moving_columns(s.relation)),
        'delta',   tally.part(v, '_delta'),
        'sweep',   tally.delta_code('sweep')))
$$;
