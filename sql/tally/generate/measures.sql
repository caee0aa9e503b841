-- Measures: what a rollup adds up, and how sums become what readers see.
-- The running sums of a cell are kept in <rollup>_state: cell_rows, and for a measure m some of n_m (how many values),
-- sum_m, true_m, or val_m and left_m (an extremum, and the removed value that makes it doubtful). was_rows and old_m
-- hold what readers saw before the last merge, for the rollups above.

-- tally.parse_measure: 'sum(detections)' as (function, argument).
--   Raises    TL009
CREATE OR REPLACE FUNCTION tally.parse_measure(name text, expression text, OUT function text, OUT argument name)
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    m text[] := regexp_match(expression, '^\s*(count|sum|avg|min|max|bool_or|bool_and)\s*\(\s*(distinct\s)?\s*(\*|"(?:[^"]|"")+"|[^\s"()*,]+)\s*\)\s*$', 'i');
BEGIN
    IF m IS NULL OR (m[3] = '*' AND (lower(m[1]) <> 'count' OR m[2] IS NOT NULL)) OR (m[2] IS NOT NULL AND lower(m[1]) <> 'count') THEN
        PERFORM tally.fail('TL009', format('Measure "%s" of "%s" is not supported.', name, expression));
    END IF;
    function := lower(m[1]) || CASE WHEN m[3] = '*' THEN '(*)' WHEN m[2] IS NOT NULL THEN '_distinct' ELSE '' END;
    IF m[3] <> '*' THEN
        argument := (parse_ident(m[3]))[1];
    END IF;
END
$$;

-- tally.measures_of: the measures of a rollup, in order.
CREATE OR REPLACE FUNCTION tally.measures_of(rollup tally.derived_view)
RETURNS SETOF tally.measure LANGUAGE sql STABLE AS $$
    SELECT m FROM tally.measure m WHERE m.rollup_id = rollup.id ORDER BY m.position
$$;

-- tally.sums_of: the running sums of a rollup's cells: column, type, how the sum of signed rows (alias d, column
-- tally_sign) is formed, and how two sums are added: 'add', 'least', 'greatest' or 'left' (see sql_extremum).
CREATE OR REPLACE FUNCTION tally.sums_of(r tally.derived_view)
RETURNS TABLE (measure name, col name, type text, from_rows text, adding text) LANGUAGE sql STABLE AS $$
    SELECT NULL, 'cell_rows', 'bigint', 'coalesce(sum(d.tally_sign), 0)', 'add'
    UNION ALL
    SELECT m.name, s.col, s.type, s.from_rows, s.adding
    FROM tally.measures_of(r) m
    CROSS JOIN LATERAL (SELECT tally.type_of(tally.part(r, '_def')::regclass, m.name) AS public_type,
                               format('d.%I', m.argument) || CASE WHEN m.exact_float THEN '::numeric' ELSE '' END AS value) t
    CROSS JOIN LATERAL (
        SELECT 1 AS place, ('n_' || m.name)::name AS col, 'bigint' AS type, CASE WHEN m.function = 'count_distinct' THEN '0'
               ELSE format('coalesce(sum(d.tally_sign) FILTER (WHERE d.%I IS NOT NULL), 0)', m.argument) END AS from_rows, 'add' AS adding
        WHERE m.function NOT IN ('count(*)', 'min', 'max')
        UNION ALL
        SELECT 2, 'sum_' || m.name, CASE WHEN t.public_type LIKE 'interval%' OR m.function = 'sum' AND NOT m.exact_float THEN t.public_type ELSE 'numeric' END,
               format('coalesce(sum(%1$s) FILTER (WHERE d.tally_sign > 0), ''0'') - coalesce(sum(%1$s) FILTER (WHERE d.tally_sign < 0), ''0'')', t.value), 'add'
        WHERE m.function IN ('sum', 'avg')
        UNION ALL
        SELECT 3, 'true_' || m.name, 'bigint', format('coalesce(sum(d.tally_sign) FILTER (WHERE d.%I), 0)', m.argument), 'add'
        WHERE m.function IN ('bool_or', 'bool_and')
        UNION ALL
        SELECT 4, 'val_' || m.name, t.public_type, format('%s(d.%I) FILTER (WHERE d.tally_sign > 0)', m.function, m.argument),
               CASE m.function WHEN 'min' THEN 'least' ELSE 'greatest' END
        WHERE m.function IN ('min', 'max')
        UNION ALL
        SELECT 5, 'left_' || m.name, t.public_type, format('%s(d.%I) FILTER (WHERE d.tally_sign < 0)', m.function, m.argument), 'left'
        WHERE m.function IN ('min', 'max')) s
$$;

-- tally.sql_oracle: a measure as the oracle computes it, over rows of the source (alias d).
CREATE OR REPLACE FUNCTION tally.sql_oracle(m tally.measure)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN m.function = 'count(*)' THEN 'count(*)'
        WHEN m.function = 'count_distinct' THEN format('count(DISTINCT d.%I)', m.argument)
        WHEN m.exact_float THEN format('%s(d.%I::numeric)::float8', m.function, m.argument)
        ELSE format('%s(d.%I)', m.function, m.argument) END
$$;

-- tally.sql_final: a measure as readers see it, from the running sums of alias s.
CREATE OR REPLACE FUNCTION tally.sql_final(m tally.measure, s text)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE m.function
        WHEN 'count(*)' THEN s || '.cell_rows'
        WHEN 'count' THEN n WHEN 'count_distinct' THEN n
        WHEN 'sum' THEN format('(CASE WHEN %s > 0 THEN %s.%I END)%s', n, s, 'sum_' || m.name, float)
        WHEN 'avg' THEN format('(CASE WHEN %1$s > 0 THEN %2$s.%3$I / %1$s END)%4$s', n, s, 'sum_' || m.name, float)
        WHEN 'bool_or' THEN format('CASE WHEN %s > 0 THEN %s.%I > 0 END', n, s, 'true_' || m.name)
        WHEN 'bool_and' THEN format('CASE WHEN %1$s > 0 THEN %2$s.%3$I = %1$s END', n, s, 'true_' || m.name)
        ELSE format('%s.%I', s, 'val_' || m.name) END
    FROM (SELECT format('%s.%I', s, 'n_' || m.name) AS n, CASE WHEN m.exact_float THEN '::float8' ELSE '' END AS float) x
$$;

-- tally.sql_doubtful: whether an extremum's holder (alias s) has left and nothing as good has come (alias c): then the
-- group must be scanned again.
CREATE OR REPLACE FUNCTION tally.sql_doubtful(m tally.measure, s text, c text)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT tally.render('{left} IS DISTINCT FROM NULL AND coalesce({left} {as_good} {kept}, true) AND coalesce({came} {worse} {left}, true)', jsonb_build_object(
        'left',    format('%s.%I', c, 'left_' || m.name),
        'came',    format('%s.%I', c, 'val_' || m.name),
        'kept',    format('%s.%I', s, 'val_' || m.name),
        'as_good', CASE m.function WHEN 'min' THEN '<=' ELSE '>=' END,
        'worse',   CASE m.function WHEN 'min' THEN '>' ELSE '<' END))
$$;

-- tally.sql_summed: the sums of a rollup's cells (alias d) that have the same group.
CREATE OR REPLACE FUNCTION tally.sql_summed(r tally.derived_view)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT string_agg(format(CASE WHEN s.adding = 'add' THEN 'sum(d.%1$I)::%2$s AS %1$I' WHEN coalesce(m.function, '') = 'min' THEN 'min(d.%1$I) AS %1$I'
                             ELSE 'max(d.%1$I) AS %1$I' END, s.col, s.type), ', ')
    FROM tally.sums_of(r) s LEFT JOIN tally.measure m ON m.rollup_id = r.id AND m.name = s.measure
$$;

-- tally.sql_rescan: an extremum looked up again in a relation, for the group of alias g.
CREATE OR REPLACE FUNCTION tally.sql_rescan(r tally.derived_view, m tally.measure, relation text, g text)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT tally.render('CASE WHEN num_nulls({group}) = 0 THEN (SELECT {extremum} FROM {relation} d WHERE {same}{filter}) ELSE (SELECT {extremum} FROM {relation} d WHERE {not_distinct}{filter}) END', jsonb_build_object(
        'group',        tally.column_list(r.group_by, g || '.'),
        'extremum',     format('%s(d.%I)', m.function, m.argument),
        'relation',     relation,
        'same',         tally.sql_same(relation::regclass, r.group_by, 'd', g),
        'not_distinct', tally.sql_not_distinct(relation::regclass, r.group_by, 'd', g),
        'filter',       coalesce(' AND (' || r.filter || ')', '')))
$generator$;

-- tally.sql_cell: the groups of alias d and some sums, as a cell of the composite type or as plain columns.
CREATE OR REPLACE FUNCTION tally.sql_cell(r tally.derived_view, sums text, as_type boolean)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT CASE WHEN as_type THEN format('ROW(%s)::%s', columns, tally.part(r, '_cell')) ELSE columns END
    FROM concat_ws(', ', tally.column_list(r.group_by, 'd.'), sums) columns
$generator$;

-- tally.sql_cells: SELECT that adds up signed rows of a rollup's source into its cells.
--   Parameters relation: has tally_sign and the source's columns; as_type: cells of the composite type, or plain columns
CREATE OR REPLACE FUNCTION tally.sql_cells(r tally.derived_view, relation text, as_type boolean DEFAULT true)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT tally.render('SELECT {cell} FROM {relation} d{filter} GROUP BY {groups}', jsonb_build_object(
        'cell',     tally.sql_cell(r, string_agg(CASE WHEN as_type THEN s.from_rows ELSE format('(%s)::%s AS %I', s.from_rows, s.type, s.col) END, ', '), as_type),
        'relation', relation,
        'filter',   coalesce(' WHERE ' || r.filter, ''),
        'groups',   tally.column_list(r.group_by, 'd.')))
    FROM tally.sums_of(r) s
$generator$;

-- tally.sql_distinct_cells: SELECT that turns signed cells of a finer rollup into what they mean to the rollup that it
-- serves: one more, or one fewer, distinct value.
CREATE OR REPLACE FUNCTION tally.sql_distinct_cells(r tally.derived_view, finer tally.derived_view, relation text, as_type boolean DEFAULT true)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT tally.render('SELECT {cell} FROM {relation} d GROUP BY {groups}', jsonb_build_object(
        'cell',     tally.sql_cell(r, string_agg(format(CASE WHEN as_type THEN '%1$s' ELSE '(%1$s)::%2$s AS %3$I' END,
                        CASE WHEN s.col LIKE 'n\_%' AND m.function = 'count_distinct' AND m.argument = finer.group_by[cardinality(finer.group_by)] THEN 'sum(d.tally_sign)'
                             WHEN s.adding = 'add' THEN '''0''' ELSE 'NULL' END, s.type, s.col), ', '), as_type),
        'relation', relation,
        'groups',   tally.column_list(r.group_by, 'd.')))
    FROM tally.sums_of(r) s LEFT JOIN tally.measure m ON m.rollup_id = r.id AND m.name = s.measure
$generator$;
