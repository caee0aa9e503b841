-- Measures: what a rollup adds up, and how running sums become the public values.
-- The running sums of a cell are stored in <rollup>_state: cell_rows, and for a measure m some of n_m (how many values),
-- sum_m (the sum of the finite ones), kinds_m (how many values of each kind, see below), true_m, and val_m (an extremum).
-- A difference also has left_m: the extremum of the removed values, which may make val_m doubtful.
--
-- kinds_m is one number with a counter for each kind of value. Each counter goes up to 10^12, so that every value can be subtracted again:
--   10^-12s  a finite numeric with s decimals (1301: more than 1300); the largest s is the scale that PostgreSQL gives the sum
--   10^12    NaN        10^24  infinity        10^36  -infinity
-- There is no kinds_m if all values are finite and have one scale.

-- tally.parse_measure: 'sum(detections)' split into function and argument.
--   Raises    TL009
CREATE OR REPLACE FUNCTION tally.parse_measure(name text, expression text, OUT function text, OUT argument name)
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    m text[] := regexp_match(expression, '^\s*(count|sum|avg|min|max|bool_or|bool_and)\s*\(\s*(distinct\s)?\s*(\*|"(?:[^"]|"")+"|(?!\d)[^\s"()*,.:;+/<>=~!@#%^&|?''\[\]-]+)\s*\)\s*$', 'i');
BEGIN
    IF m IS NULL AND expression ~* '^\s*(count|sum|avg|min|max|bool_or|bool_and)\s*\(.+\)\s*$' AND expression !~* '\(\s*(distinct\M.*|\*\s*)\)\s*$' THEN
        PERFORM tally.fail('TL009', format('Measure "%s" is "%s": what it adds up is not one column.', name, expression),
            'Compute the expression in the definition, as a column of its own, and name that column here.');
    ELSIF m IS NULL OR (m[3] = '*' AND (lower(m[1]) <> 'count' OR m[2] IS NOT NULL)) OR (m[2] IS NOT NULL AND lower(m[1]) <> 'count') THEN
        PERFORM tally.fail('TL009', format('Measure "%s" of "%s" is not supported.', name, expression));
    END IF;
    function := lower(m[1]) || CASE WHEN m[3] = '*' THEN '(*)' WHEN m[2] IS NOT NULL THEN '_distinct' ELSE '' END;
    IF m[3] <> '*' THEN
        argument := (parse_ident(m[3]))[1];
    END IF;
EXCEPTION WHEN invalid_parameter_value THEN
    PERFORM tally.fail('TL009', format('Measure "%s" is "%s", but %s is not a name.', name, expression, m[3]), format('Write such a column in double quotes: %s("%s").', m[1], m[3]));
END
$$;

-- tally.measures_of: the measures of a rollup, in order.
CREATE OR REPLACE FUNCTION tally.measures_of(rollup tally.derived_view)
RETURNS SETOF tally.measure LANGUAGE sql STABLE AS $$
    SELECT m FROM tally.measure m WHERE m.rollup_id = rollup.id ORDER BY m.position
$$;

-- tally.base_of: the source of the rollup that a measure belongs to.
CREATE OR REPLACE FUNCTION tally.base_of(m tally.measure)
RETURNS tally.derived_view LANGUAGE sql STABLE AS $$
    SELECT b FROM tally.derived_view r JOIN tally.derived_view b ON b.id = r.source_id WHERE r.id = m.rollup_id
$$;

-- tally.argument_type: the type of the column that a measure adds up; for a domain, its base type.
CREATE OR REPLACE FUNCTION tally.argument_type(m tally.measure)
RETURNS regtype LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN tally.base_type(tally.type_id(tally.part(tally.base_of(m))::regclass, m.argument))::regtype;
END
$$;

-- tally.sql_has: SQL for "alias d has a value in this column". IS NOT NULL would be false for a composite value with a NULL in it.
CREATE OR REPLACE FUNCTION tally.sql_has(type oid, col name)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format(CASE WHEN t.typtype = 'c' THEN 'd.%I IS DISTINCT FROM NULL' ELSE 'd.%I IS NOT NULL' END, col)
    FROM pg_type t WHERE t.oid = tally.base_type(type)
$$;

-- tally.sql_value: the value of alias d that a sum or an average adds up. A float becomes a numeric: that of its first 15 digits (real: 6)
-- if this is the same float, otherwise that of 17 digits (9), which always is. So nothing is lost, and no setting matters. The largest
-- doubles always take 17 digits: rounded up to 15, they would be too large for a double.
CREATE OR REPLACE FUNCTION tally.sql_value(m tally.measure)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE tally.argument_type(m)
        WHEN 'float8'::regtype THEN format('CASE WHEN CASE WHEN abs(d.%1$I) >= ''1.797693134862315e308'' THEN abs(d.%1$I) < ''Infinity'' ELSE d.%1$I::numeric::float8 <> d.%1$I END '
                                       'THEN to_char(d.%1$I, ''9.9999999999999999EEEE'')::numeric ELSE d.%1$I::numeric END', m.argument)
        WHEN 'float4'::regtype THEN format('CASE WHEN d.%1$I::numeric::float4 = d.%1$I THEN d.%1$I::numeric ELSE to_char(d.%1$I, ''9.99999999EEEE'')::numeric END', m.argument)
        ELSE format('d.%I', m.argument) END
$$;

-- tally.numeric_scale: the scale that the type modifier of a numeric column fixes; NULL if it has none.
CREATE OR REPLACE FUNCTION tally.numeric_scale(relation regclass, col name)
RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT greatest((((u.modifier - 4) & 2047) # 1024) - 1024, 0)
    FROM pg_attribute a CROSS JOIN LATERAL tally.under_domains(a.atttypid, a.atttypmod) u
    WHERE a.attrelid = relation AND a.attname = col AND a.attnum > 0 AND u.type = 'numeric'::regtype AND u.modifier > 0
$$;

-- tally.number_kinds: which kinds of values a column may hold.
--   Returns   'one': all are finite and have one scale; 'special': also NaN or infinity; 'scales': also numerics of any scale
CREATE OR REPLACE FUNCTION tally.number_kinds(v tally.derived_view, col name)
RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    relation regclass := tally.part(v)::regclass;
    m        tally.measure;
BEGIN
    SELECT * INTO m FROM tally.measures_of(v) x WHERE x.name = col AND x.function IN ('sum', 'min', 'max');
    IF FOUND AND tally.argument_type(m) = 'numeric'::regtype THEN
        RETURN tally.number_kinds(tally.view_by_id(v.source_id), m.argument);
    ELSIF FOUND AND tally.argument_type(m) = 'int8'::regtype THEN
        RETURN 'one';
    END IF;
    RETURN CASE tally.base_type(tally.type_id(relation, col))
        WHEN 'numeric'::regtype THEN CASE WHEN tally.numeric_scale(relation, col) IS NULL THEN 'scales' ELSE 'special' END
        WHEN 'float8'::regtype THEN 'special'
        WHEN 'float4'::regtype THEN 'special'
        WHEN 'interval'::regtype THEN CASE WHEN current_setting('server_version_num')::integer >= 170000 THEN 'special' ELSE 'one' END
        ELSE 'one' END;
END
$$;

-- tally.measure_kinds: tally.number_kinds of what a sum or an average adds up.
CREATE OR REPLACE FUNCTION tally.measure_kinds(m tally.measure)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT tally.number_kinds(tally.base_of(m), m.argument)
$$;

-- tally.sql_finite: SQL for "the value of alias d that is added up is neither NaN nor infinite".
CREATE OR REPLACE FUNCTION tally.sql_finite(m tally.measure)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format(CASE tally.argument_type(m) WHEN 'numeric'::regtype THEN 'scale(d.%I) IS NOT NULL' WHEN 'interval'::regtype THEN 'isfinite(d.%I)'
                  ELSE 'abs(d.%I) < ''Infinity''' END, m.argument)
$$;

-- tally.sql_kind: the power of ten that stands for the kind of a value of alias d in kinds_m.
CREATE OR REPLACE FUNCTION tally.sql_kind(m tally.measure)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT tally.render('CASE WHEN {finite} THEN {scale} WHEN {is_nan} THEN 1e12 WHEN {value} > ''0'' THEN 1e24 ELSE 1e36 END', jsonb_build_object(
        'value',  format('d.%I', m.argument),
        'finite', tally.sql_finite(m),
        'is_nan', CASE WHEN tally.argument_type(m) = 'interval'::regtype THEN 'false' ELSE format('d.%I = ''NaN''', m.argument) END,
        'scale',  CASE tally.measure_kinds(m) WHEN 'scales' THEN
                      format('coalesce((''{1,1e-12,1e-24,1e-36,1e-48,1e-60,1e-72}''::numeric[])[scale(d.%1$I) + 1], (''1e-'' || 12 * least(scale(d.%1$I), 1301))::numeric)', m.argument)
                      ELSE '0' END))
$$;

-- tally.aggregate_of: the aggregate of a measure. For a type of an extension it may be the extension's own min(), for example, with its schema. One that
-- somebody else made in that schema is not taken: it would run with the rights of the view's owner.
CREATE OR REPLACE FUNCTION tally.aggregate_of(m tally.measure)
RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    type oid := tally.argument_type(m);
BEGIN
    RETURN coalesce((SELECT format('%I.%I', n.nspname, p.proname)
                     FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace JOIN pg_proc p ON p.pronamespace = n.oid
                     WHERE t.oid = type AND n.nspname <> 'pg_catalog' AND p.proname = m.function AND p.prokind = 'a' AND p.pronargs = 1 AND p.proargtypes[0] = type
                       AND (p.proowner = t.typowner OR EXISTS (
                           SELECT FROM pg_depend a JOIN pg_depend b ON (b.refclassid, b.refobjid, b.deptype) = (a.refclassid, a.refobjid, 'e')
                           WHERE (a.classid, a.objid, a.deptype) = ('pg_proc'::regclass, p.oid, 'e') AND (b.classid, b.objid) = ('pg_type'::regclass, t.oid)))),
                    m.function);
END
$$;

-- tally.sums_of: the running sums of a rollup's cells: column, type, the expression that sums signed rows (alias d, column
-- tally_sign), how two sums are added: 'add', 'least', 'greatest' or 'left' (see sql_doubtful), and n, their order in a cell.
DROP FUNCTION IF EXISTS tally.sums_of(tally.derived_view);  -- it returned no n
CREATE OR REPLACE FUNCTION tally.sums_of(r tally.derived_view)
RETURNS TABLE (measure name, col name, type text, from_rows text, adding text, n bigint) LANGUAGE sql STABLE AS $$
    SELECT x.measure, x.col, x.type, x.from_rows, x.adding, row_number() OVER (ORDER BY x.position, x.place) FROM (
    SELECT 0 AS position, 0 AS place, NULL::name AS measure, 'cell_rows'::name AS col, 'bigint' AS type, 'coalesce(sum(d.tally_sign), 0)' AS from_rows, 'add' AS adding
    UNION ALL
    SELECT m.position, s.place, m.name, s.col, s.type, s.from_rows, s.adding
    FROM tally.measures_of(r) m
    CROSS JOIN LATERAL (SELECT tally.column_type(tally.part(r, '_def')::regclass, m.name) AS public_type,
                               CASE WHEN m.argument IS NOT NULL THEN tally.argument_type(m) END AS value_type,
                               CASE WHEN m.function IN ('sum', 'avg') THEN tally.measure_kinds(m) ELSE 'one' END AS kinds) t
    CROSS JOIN LATERAL (
        SELECT 1 AS place, ('n_' || m.name)::name AS col, 'bigint' AS type, CASE WHEN m.function = 'count_distinct' THEN '0'
               ELSE format('coalesce(sum(d.tally_sign) FILTER (WHERE %s), 0)', tally.sql_has(t.value_type, m.argument)) END AS from_rows, 'add' AS adding
        WHERE m.function NOT IN ('count(*)', 'min', 'max')
        UNION ALL
        SELECT 2, 'sum_' || m.name, CASE WHEN t.public_type LIKE 'interval%' OR m.function = 'sum' AND NOT m.exact_float THEN t.public_type ELSE 'numeric' END,
               format('coalesce(sum(%1$s) FILTER (WHERE d.tally_sign > 0%2$s), ''0'') - coalesce(sum(%1$s) FILTER (WHERE d.tally_sign < 0%2$s), ''0'')',
                      tally.sql_value(m), CASE WHEN t.kinds <> 'one' THEN ' AND ' || tally.sql_finite(m) ELSE '' END), 'add'
        WHERE m.function IN ('sum', 'avg')
        UNION ALL
        SELECT 3, 'kinds_' || m.name, 'numeric', format('coalesce(sum(d.tally_sign * %s) FILTER (WHERE d.%I IS NOT NULL), 0)', tally.sql_kind(m), m.argument), 'add'
        WHERE t.kinds <> 'one'
        UNION ALL
        SELECT 4, 'true_' || m.name, 'bigint', format('coalesce(sum(d.tally_sign) FILTER (WHERE d.%I), 0)', m.argument), 'add'
        WHERE m.function IN ('bool_or', 'bool_and')
        UNION ALL
        SELECT 5, 'val_' || m.name, t.public_type, format('%s(d.%I) FILTER (WHERE d.tally_sign > 0)', tally.aggregate_of(m), m.argument),
               CASE m.function WHEN 'min' THEN 'least' ELSE 'greatest' END
        WHERE m.function IN ('min', 'max')
        UNION ALL
        SELECT 6, 'left_' || m.name, t.public_type, format('%s(d.%I) FILTER (WHERE d.tally_sign < 0)', tally.aggregate_of(m), m.argument), 'left'
        WHERE m.function IN ('min', 'max')) s) x
    ORDER BY x.position, x.place
$$;

-- tally.sql_oracle: a measure as the oracle computes it, over rows of the source (alias d). Floats are added exactly and rounded once,
-- as in the running sums.
CREATE OR REPLACE FUNCTION tally.sql_oracle(m tally.measure)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN m.function = 'count(*)' THEN 'count(*)'
        WHEN m.function = 'count_distinct' THEN format('count(DISTINCT d.%I)', m.argument)
        WHEN m.exact_float AND m.function = 'avg' THEN format('(trim_scale(sum(%s)) / count(d.%I))::float8', tally.sql_value(m), m.argument)
        WHEN m.exact_float THEN format('sum(%s)::float8', tally.sql_value(m))
        ELSE format('%s(d.%I)', tally.aggregate_of(m), m.argument) END
$$;

-- tally.sql_total: the sum of a cell's values from its running sums (alias s), in the scale that PostgreSQL gives it.
CREATE OR REPLACE FUNCTION tally.sql_total(m tally.measure, s text)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN tally.measure_kinds(m) = 'one' THEN sum ELSE tally.render(CASE
        WHEN tally.argument_type(m) = 'interval'::regtype THEN
            'CASE WHEN {kinds} = 0 THEN {sum} WHEN {plus_and_minus} THEN ''infinity''::interval + CASE WHEN {kinds} > 0 THEN ''-infinity''::interval END WHEN {kinds} >= 1e36 THEN ''-infinity'' ELSE ''infinity'' END'
        WHEN tally.measure_kinds(m) = 'special' THEN
            'CASE WHEN {kinds} = 0 THEN {sum} WHEN div({kinds}, 1e12) % 1e12 > 0 OR {plus_and_minus} THEN ''NaN'' WHEN {kinds} >= 1e36 THEN ''-Infinity'' ELSE ''Infinity'' END'
        ELSE 'CASE WHEN {kinds} < 1e12 THEN CASE WHEN min_scale({kinds}) <= 15600 THEN round({sum}, (min_scale({kinds}) + 11) / 12) ELSE {sum} END '
             'WHEN div({kinds}, 1e12) % 1e12 > 0 OR {plus_and_minus} THEN ''NaN'' WHEN {kinds} >= 1e36 THEN ''-Infinity'' ELSE ''Infinity'' END' END,
        jsonb_build_object('kinds', kinds, 'sum', sum, 'plus_and_minus', format('%1$s >= 1e36 AND div(%1$s, 1e24) %% 1e12 > 0', kinds))) END
    FROM (SELECT format('%s.%I', s, 'sum_' || m.name) AS sum, format('%s.%I', s, 'kinds_' || m.name) AS kinds) x
$$;

-- tally.sql_final: the public value of a measure, from the running sums of alias s.
CREATE OR REPLACE FUNCTION tally.sql_final(m tally.measure, s text)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE m.function
        WHEN 'count(*)' THEN s || '.cell_rows'
        WHEN 'count' THEN n WHEN 'count_distinct' THEN n
        WHEN 'sum' THEN format('(CASE WHEN %s > 0 THEN %s END)%s', n, tally.sql_total(m, s), CASE WHEN m.exact_float THEN '::float8' ELSE '' END)
        WHEN 'avg' THEN format('(CASE WHEN %1$s > 0 THEN %2$s / %1$s END)%3$s', n,
            format(CASE WHEN m.exact_float THEN 'trim_scale(%s)' ELSE '(%s)' END, tally.sql_total(m, s)), CASE WHEN m.exact_float THEN '::float8' ELSE '' END)
        WHEN 'bool_or' THEN format('CASE WHEN %s > 0 THEN %s.%I > 0 END', n, s, 'true_' || m.name)
        WHEN 'bool_and' THEN format('CASE WHEN %1$s > 0 THEN %2$s.%3$I = %1$s END', n, s, 'true_' || m.name)
        ELSE format('%s.%I', s, 'val_' || m.name) END
    FROM (SELECT format('%s.%I', s, 'n_' || m.name) AS n) x
$$;

-- tally.sql_doubtful: whether an extremum (alias s) was removed, and no value that is at least as good was added (alias c). Then the
-- group has to be scanned again.
CREATE OR REPLACE FUNCTION tally.sql_doubtful(m tally.measure, s text, c text)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT tally.render('{left} IS DISTINCT FROM NULL AND coalesce({left} {as_good} {kept}, true) AND coalesce({came} {worse} {left}, true)', jsonb_build_object(
        'left',    format('%s.%I', c, 'left_' || m.name),
        'came',    format('%s.%I', c, 'val_' || m.name),
        'kept',    format('%s.%I', s, 'val_' || m.name),
        'as_good', tally.sql_operator(tally.part(tally.base_of(m))::regclass, m.argument, CASE m.function WHEN 'min' THEN '<=' ELSE '>=' END),
        'worse',   tally.sql_operator(tally.part(tally.base_of(m))::regclass, m.argument, CASE m.function WHEN 'min' THEN '>' ELSE '<' END)))
$$;

-- tally.sql_changes: whether a difference (alias d) changes a cell. Values are compared by image, because 30 days and 1 month are equal.
--   Parameters summed: the differences of a cell are several rows, which have to be added up
CREATE OR REPLACE FUNCTION tally.sql_changes(r tally.derived_view, summed boolean DEFAULT false)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT string_agg(CASE WHEN s.adding <> 'add' THEN format('record_image_ne(ROW(%1$s(d.%2$I)), ROW(%1$s(d.%3$I)))', a.aggregate, s.col, 'left_' || m.name)
                           WHEN s.type LIKE 'interval%' THEN format('record_image_ne(ROW(%s(d.%I)), ROW(''0''::interval))', a.aggregate, s.col)
                           ELSE format('%s(d.%I) <> ''0''', a.aggregate, s.col) END, ' OR ' ORDER BY s.n)
    FROM tally.sums_of(r) s
    LEFT JOIN tally.measure m ON m.rollup_id = r.id AND m.name = s.measure
    CROSS JOIN LATERAL (SELECT CASE WHEN NOT summed THEN '' WHEN s.adding = 'add' THEN 'sum' ELSE tally.aggregate_of(m) END AS aggregate) a
    WHERE s.adding <> 'left'
$$;

-- tally.sql_summed: the sums of a rollup's cells (alias d) that have the same group.
CREATE OR REPLACE FUNCTION tally.sql_summed(r tally.derived_view)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT string_agg(CASE WHEN s.adding = 'add' THEN format('sum(d.%1$I)::%2$s AS %1$I', s.col, s.type)
                           ELSE format('%s(d.%I) AS %2$I', tally.aggregate_of(m), s.col) END, ', ' ORDER BY s.n)
    FROM tally.sums_of(r) s LEFT JOIN tally.measure m ON m.rollup_id = r.id AND m.name = s.measure
$$;

-- tally.sql_added: a running sum after the difference (alias c) is added to the stored one (alias s). Of two equal extrema the added one
-- is taken, because the stored one may have been removed.
CREATE OR REPLACE FUNCTION tally.sql_added(adding text, col name)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE adding WHEN 'add' THEN format('coalesce(s.%1$I, ''0'') + c.%1$I', col) WHEN 'left' THEN format('c.%I', col)
                       ELSE format('%s(c.%I, s.%2$I)', adding, col) END
$$;

-- tally.sql_group_by: GROUP BY the columns of a rollup, of alias d. Without columns it is GROUP BY (), which returns one row even for no input.
CREATE OR REPLACE FUNCTION tally.sql_group_by(r tally.derived_view)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN r.group_by = '{}' THEN 'GROUP BY ()' ELSE 'GROUP BY ' || tally.column_list(r.group_by, 'd.') END
$$;

-- tally.sql_there: whether a cell with this number of rows exists. The one cell of a rollup without groups always does.
CREATE OR REPLACE FUNCTION tally.sql_there(r tally.derived_view, cell_rows text)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN r.group_by = '{}' THEN 'true' ELSE cell_rows || ' > 0' END
$$;

-- tally.is_wide: whether values of a type may be too long for an index entry.
CREATE OR REPLACE FUNCTION tally.is_wide(type oid)
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT t.typlen = -1 AND t.typtype NOT IN ('e', 'r', 'm')
       AND t.oid NOT IN ('numeric'::regtype, 'inet'::regtype, 'cidr'::regtype, 'bit'::regtype, 'varbit'::regtype)
    FROM pg_type t WHERE t.oid = tally.base_type(type)
$$;

-- tally.sql_short: a column as it stands in the index for extrema. A text too long for an index entry is NULL there.
CREATE OR REPLACE FUNCTION tally.sql_short(type oid, col text)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN NOT tally.is_wide(type) THEN col WHEN t.typcategory = 'S' THEN format('(CASE WHEN octet_length(%1$s) <= 1000 THEN %1$s END)', col) END
    FROM pg_type t WHERE t.oid = tally.base_type(type)
$$;

-- tally.sql_extremum: subquery for an extremum of a relation's rows (alias d) that meet a condition. Short texts are found by the index,
-- in order. Rows with long texts, and types whose values may have any length, are scanned.
CREATE OR REPLACE FUNCTION tally.sql_extremum(r tally.derived_view, m tally.measure, relation text, condition text)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT tally.render(CASE WHEN short = argument OR short IS NULL THEN '(SELECT {aggregate}({argument}) FROM {relation} d WHERE {condition}{filter})' ELSE
        '{better}((SELECT {aggregate}({short}) FROM {relation} d WHERE {condition}{filter}), '
        '(SELECT {aggregate}({argument}) FROM {relation} d WHERE {condition} AND {short} IS NULL AND {argument} IS NOT NULL{filter}))' END,
        jsonb_strip_nulls(jsonb_build_object(
            'aggregate', tally.aggregate_of(m),
            'argument',  argument,
            'relation',  relation,
            'condition', condition,
            'filter',    coalesce(' AND (' || r.filter || ')', ''),
            'short',     CASE WHEN short <> argument THEN short END,
            'better',    CASE WHEN short <> argument THEN CASE m.function WHEN 'min' THEN 'least' ELSE 'greatest' END END)))
    FROM (SELECT format('d.%I', m.argument) AS argument, tally.sql_short(tally.argument_type(m), format('d.%I', m.argument)) AS short) x
$generator$;

-- tally.sql_rescan: an extremum searched again in a relation, for the group of alias g.
CREATE OR REPLACE FUNCTION tally.sql_rescan(r tally.derived_view, m tally.measure, relation text, g text)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT CASE WHEN r.group_by = '{}' THEN tally.sql_extremum(r, m, relation, 'true')
        ELSE tally.render('CASE WHEN num_nulls({group}) = 0 THEN {in_same} ELSE {in_not_distinct} END', jsonb_build_object(
            'group',           tally.column_list(r.group_by, g || '.'),
            'in_same',         tally.sql_extremum(r, m, relation, tally.sql_same(tally.part(r, '_def')::regclass, r.group_by, 'd', g)),
            'in_not_distinct', tally.sql_extremum(r, m, relation, tally.sql_not_distinct(tally.part(r, '_def')::regclass, r.group_by, 'd', g)))) END
$generator$;

-- tally.sql_cell: the groups of alias d and some sums, as a cell of the composite type or as plain columns.
CREATE OR REPLACE FUNCTION tally.sql_cell(r tally.derived_view, sums text, as_type boolean)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT CASE WHEN as_type THEN format('ROW(%s)::%s', columns, tally.part(r, '_cell')) ELSE columns END
    FROM concat_ws(', ', nullif(tally.column_list(r.group_by, 'd.'), ''), sums) columns
$generator$;

-- tally.sql_cells: SELECT that adds up signed rows of a rollup's source into its cells.
--   Parameters relation: has tally_sign and the source's columns; as_type: cells of the composite type, or plain columns
CREATE OR REPLACE FUNCTION tally.sql_cells(r tally.derived_view, relation text, as_type boolean DEFAULT true)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT tally.render('SELECT {cell} FROM {relation} d{filter} {group_by}', jsonb_build_object(
        'cell',     tally.sql_cell(r, string_agg(CASE WHEN as_type THEN s.from_rows ELSE format('(%s)::%s AS %I', s.from_rows, s.type, s.col) END, ', ' ORDER BY s.n), as_type),
        'relation', relation,
        'filter',   coalesce(' WHERE ' || r.filter, ''),
        'group_by', tally.sql_group_by(r)))
    FROM tally.sums_of(r) s
$generator$;

-- tally.sql_distinct_cells: SELECT that turns signed cells of a finer rollup into cells of the rollup that it serves: each is one more,
-- or one fewer, distinct value.
CREATE OR REPLACE FUNCTION tally.sql_distinct_cells(r tally.derived_view, finer tally.derived_view, relation text, as_type boolean DEFAULT true)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT tally.render('SELECT {cell} FROM {relation} d {group_by}', jsonb_build_object(
        'cell',     tally.sql_cell(r, string_agg(format(CASE WHEN as_type THEN '%1$s' ELSE '(%1$s)::%2$s AS %3$I' END,
                        CASE WHEN s.col LIKE 'n\_%' AND m.function = 'count_distinct' AND m.argument = finer.group_by[cardinality(finer.group_by)] THEN 'coalesce(sum(d.tally_sign), 0)'
                             WHEN s.adding = 'add' THEN '''0''' ELSE 'NULL' END, s.type, s.col), ', ' ORDER BY s.n), as_type),
        'relation', relation,
        'group_by', tally.sql_group_by(r)))
    FROM tally.sums_of(r) s LEFT JOIN tally.measure m ON m.rollup_id = r.id AND m.name = s.measure
$generator$;

-- tally.sql_index_term: the term for a group's column in the index of a rollup's relation. A value counted by count(distinct) may be too long
-- for an index entry, so the finer rollup's index has its hash instead.
CREATE OR REPLACE FUNCTION tally.sql_index_term(r tally.derived_view, suffix text, col name, prefix text DEFAULT '')
RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    value text := prefix || quote_ident(col);
    type  oid;
BEGIN
    IF r.serves_id IS NULL OR suffix <> '_state' OR col <> r.group_by[cardinality(r.group_by)] THEN
        RETURN value;
    END IF;
    type := tally.type_id(coalesce(tally.relation_of(r, '_state'), tally.relation_of(r, '_def')), col);
    RETURN CASE WHEN tally.is_wide(type) THEN coalesce(tally.sql_hash(type, value), value) ELSE value END;
END
$$;

-- tally.is_computed: whether the public value of a measure is computed, and not simply one of the running sums.
CREATE OR REPLACE FUNCTION tally.is_computed(m tally.measure)
RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT m.function IN ('sum', 'avg', 'bool_or', 'bool_and')
$$;

-- tally.sql_new: the new public value of a measure of a touched cell (alias t, of type <rollup>_touched).
CREATE OR REPLACE FUNCTION tally.sql_new(m tally.measure)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN tally.is_computed(m) THEN format('t.%I', 'new_' || m.name) ELSE tally.sql_final(m, 't') END
$$;

-- tally.sql_public_row: the new public row of a touched cell (alias t).
CREATE OR REPLACE FUNCTION tally.sql_public_row(r tally.derived_view)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT concat_ws(', ', nullif(tally.column_list(r.group_by, 't.'), ''), (SELECT string_agg(tally.sql_new(m), ', ') FROM tally.measures_of(r) m))
$$;

-- tally.state_columns: the columns of <rollup>_state, which holds the running sums. tally.touched_columns: those of the type
-- <rollup>_touched, a cell during a merge: its old and new values, and where it is stored.
CREATE OR REPLACE FUNCTION tally.state_columns(r tally.derived_view)
RETURNS name[] LANGUAGE sql STABLE AS $$
    SELECT r.group_by || ARRAY(SELECT s.col FROM tally.sums_of(r) s WHERE s.adding <> 'left') || '{tally_version,tally_epoch}'::name[]
        || CASE WHEN r.serves_id IS NULL THEN '{tally_row}'::name[] ELSE '{}' END
$$;
CREATE OR REPLACE FUNCTION tally.touched_columns(r tally.derived_view)
RETURNS name[] LANGUAGE sql STABLE AS $$
    SELECT r.group_by || ARRAY(SELECT s.col FROM tally.sums_of(r) s) || ARRAY(SELECT ('old_' || m.name)::name FROM tally.measures_of(r) m)
        || ARRAY(SELECT ('new_' || m.name)::name FROM tally.measures_of(r) m WHERE tally.is_computed(m))
        || '{tally_was,tally_is,tally_version,tally_epoch,tally_tid}'::name[] || CASE WHEN r.serves_id IS NULL THEN '{tally_row}'::name[] ELSE '{}' END
$$;
