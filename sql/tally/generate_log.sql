-- tally.generate_log: the trigger function that appends the changed IDs of one source.
--   Makes     <projection>_log_<n>(), one function for INSERT, UPDATE, DELETE and TRUNCATE: SECURITY DEFINER, so that
--             writers need no right on the delta table
--   Called by tally.install_triggers
CREATE OR REPLACE FUNCTION tally.generate_log(v tally.derived_view, s tally.source, definition regclass)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    name   text := tally.part(v, '_log_' || s.ordinal);
    target text := (SELECT string_agg(quote_ident(CASE WHEN s.expand IS NULL THEN v.key[i] ELSE tally.logged_column(s.ordinal, s.columns[i]) END), ', ' ORDER BY i)
                    FROM generate_subscripts(s.columns, 1) i);
    unique_rows text := CASE WHEN tally.is_unique(s.relation, s.columns) THEN '' ELSE 'DISTINCT ' END;
    code   int := CASE WHEN s.expand IS NULL THEN 0 ELSE s.ordinal END;
BEGIN
    EXECUTE format($make$
CREATE OR REPLACE FUNCTION %1$s() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = %2$s AS $body$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO %3$s (tally_source, %4$s) SELECT %5$s%6$s, %7$s FROM new_rows r;
    ELSIF TG_OP = 'UPDATE' THEN
        INSERT INTO %3$s (tally_source, %4$s) SELECT %6$s, %7$s FROM (
%8$s) r;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO %3$s (tally_source, %4$s) SELECT %5$s%6$s, %7$s FROM old_rows r;
    ELSE
        INSERT INTO %3$s (tally_source) VALUES (-1);  -- TRUNCATE: every key
    END IF;
    RETURN NULL;
END
$body$ $make$,
        name, tally.fixed_path(s.relation), tally.part(v, '_delta'), target, unique_rows, code,
        tally.column_list(s.columns, 'r.'), tally.sql_updated(s, definition));
    PERFORM tally.seal(name || '()', format('appends to %s what changed in %s', tally.part(v, '_delta'), s.relation));
END
$$;

-- tally.sql_updated: SELECT of the watched columns, once each, of what an UPDATE changed: rows whose used columns differ. Old and new
-- rows meet by a unique index; without one, what they do not have in common as a whole counts. The former is several times cheaper.
CREATE OR REPLACE FUNCTION tally.sql_updated(s tally.source, definition regclass)
RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    used   name[] := tally.columns_used(definition, s.relation);
    row_id name[] := tally.row_identity(s.relation, s.columns);
    seen   name[] := ARRAY(SELECT DISTINCT c FROM unnest(row_id || s.columns || used) c ORDER BY c);
    meet   text := format('FROM new_rows n FULL JOIN old_rows o ON %s', tally.sql_same(row_id, 'o', 'n'));
    differ text := format('ROW(%s)::record *<> ROW(%s)::record', tally.column_list(seen, 'n.'), tally.column_list(seen, 'o.'));
    image  text[] := ARRAY(SELECT tally.comparable(s.relation, c) FROM unnest(used) c WHERE c <> ALL (s.columns));
BEGIN
    IF row_id IS NULL THEN
        RETURN format($sql$            SELECT DISTINCT %1$s FROM (
                SELECT 1 AS tally_sign, %2$s FROM new_rows n UNION ALL SELECT -1, %3$s FROM old_rows n) b
            GROUP BY %4$s HAVING sum(tally_sign) <> 0$sql$,
            tally.column_list(s.columns),
            concat_ws(', ', tally.column_list(s.columns, 'n.'), (SELECT string_agg(format('%s AS c%s', image[i], i), ', ' ORDER BY i) FROM generate_subscripts(image, 1) i)),
            concat_ws(', ', tally.column_list(s.columns, 'n.'), (SELECT string_agg(image[i], ', ' ORDER BY i) FROM generate_subscripts(image, 1) i)),
            concat_ws(', ', tally.column_list(s.columns), (SELECT string_agg('c' || i, ', ' ORDER BY i) FROM generate_subscripts(image, 1) i)));
    ELSIF row_id <@ s.columns AND s.columns <@ row_id THEN
        RETURN format('            SELECT %s %s WHERE %s',
            (SELECT string_agg(format('coalesce(n.%1$I, o.%1$I) AS %1$I', c), ', ' ORDER BY i) FROM unnest(s.columns) WITH ORDINALITY u(c, i)), meet, differ);
    END IF;
    RETURN format($sql$            SELECT DISTINCT %1$s %2$s
            CROSS JOIN LATERAL (VALUES (%3$s, n.%4$I), (%5$s, o.%4$I)) AS w(%6$s, tally_there)
            WHERE %7$s AND w.tally_there IS NOT NULL$sql$,
        tally.column_list(s.columns, 'w.'), meet, tally.column_list(s.columns, 'n.'), row_id[1], tally.column_list(s.columns, 'o.'), tally.column_list(s.columns), differ);
END
$$;

-- tally.row_identity: columns by which rows of a table can be told apart: of a unique index, none of them NULL; the given ones
-- if they do, else the fewest. NULL: there are none, or children by inheritance may repeat them.
CREATE OR REPLACE FUNCTION tally.row_identity(source regclass, preferred name[])
RETURNS name[] LANGUAGE sql STABLE AS $$
    SELECT k.columns
    FROM pg_class c
    JOIN pg_index i ON i.indrelid = c.oid AND i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
    CROSS JOIN LATERAL (
        SELECT array_agg(a.attname ORDER BY a.attnum) AS columns, bool_and(a.attnotnull) AS not_null FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1])) k
    WHERE c.oid = source AND k.not_null AND (c.relkind = 'p' OR NOT c.relhassubclass)
    ORDER BY k.columns <@ preferred AND preferred <@ k.columns DESC, i.indnkeyatts, i.indexrelid
    LIMIT 1
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
