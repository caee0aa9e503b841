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
    used   name[] := tally.columns_used(definition, s.relation);
    compared text[] := ARRAY(SELECT tally.comparable(s.relation, c) FROM unnest(used) c WHERE c <> ALL (s.columns));
    unique_rows text := CASE WHEN tally.is_unique(s.relation, s.columns) THEN '' ELSE 'DISTINCT ' END;
    code   int := CASE WHEN s.expand IS NULL THEN 0 ELSE s.ordinal END;
BEGIN
    -- An UPDATE logs the rows whose used columns differ: what the old and the new rows do not have in common.
    EXECUTE format($make$
CREATE OR REPLACE FUNCTION %1$s() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = %2$s AS $body$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO %3$s (tally_source, %4$s) SELECT %5$s%6$s, %7$s FROM new_rows r;
    ELSIF TG_OP = 'UPDATE' THEN
        INSERT INTO %3$s (tally_source, %4$s)
        SELECT DISTINCT %6$s, %7$s FROM (
            SELECT %8$s FROM (
                SELECT 1 AS tally_sign, %9$s FROM new_rows n UNION ALL SELECT -1, %10$s FROM old_rows n) b
            GROUP BY %8$s HAVING sum(tally_sign) <> 0) r;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO %3$s (tally_source, %4$s) SELECT %5$s%6$s, %7$s FROM old_rows r;
    ELSE
        INSERT INTO %3$s (tally_source) VALUES (-1);  -- TRUNCATE: every key
    END IF;
    RETURN NULL;
END
$body$ $make$,
        name, tally.fixed_path(s.relation), tally.part(v, '_delta'), target, unique_rows, code,
        tally.column_list(s.columns, 'r.'),
        concat_ws(', ', tally.column_list(s.columns), (SELECT string_agg('c' || i, ', ' ORDER BY i) FROM generate_subscripts(compared, 1) i)),
        concat_ws(', ', tally.column_list(s.columns, 'n.'), (SELECT string_agg(format('%s AS c%s', compared[i], i), ', ' ORDER BY i) FROM generate_subscripts(compared, 1) i)),
        concat_ws(', ', tally.column_list(s.columns, 'n.'), (SELECT string_agg(compared[i], ', ' ORDER BY i) FROM generate_subscripts(compared, 1) i)));
    PERFORM tally.seal(name || '()', format('appends to %s what changed in %s', tally.part(v, '_delta'), s.relation));
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
