-- tally.generate_consume: the function that takes delta rows and brings their keys up to date.
--   Makes     <projection>_consume(max_keys) RETURNS tally.merge_result. Logged changes take up to 3/4 of max_keys if a sweep
--             or a wide change is waiting, else all. The sweep or the wide change gets the rest
--   Notes     Each key should be evaluated once, however many rows name it. So more delta rows are taken than keys may be evaluated, and
--             the remaining keys wait as a wide change. If the backlog is longer still, keys are only collected. Rows that name a key
--             which a sweep has not reached yet are dropped: the sweep reads that key in a later snapshot, and until then _live reads
--             it from the definition. A backlog of most keys becomes a sweep. So do keys for which a sweep is estimated to be faster
CREATE OR REPLACE FUNCTION tally.generate_consume(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $generator$
DECLARE
    key_arrays name[] := tally.numbered(v.key);
BEGIN
    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {consume}(tally_max_keys integer) RETURNS tally.merge_result LANGUAGE plpgsql SECURITY DEFINER SET search_path = {search_path} AS $body$
#variable_conflict use_column
DECLARE
    tally_result tally.merge_result;
    tally_span tally.span;
    tally_step record;
    tally_through xid8;
    tally_wide boolean;  -- are wide changes waiting, and then: are some left
    tally_sweep boolean;
    tally_retry boolean;
    tally_room integer;
    tally_reach integer := least(8.0 * tally_max_keys, 1000000000);  -- delta rows taken at most
    tally_from_start boolean;
    tally_swept tally.span;  -- of the rows that a sweep makes needless
    tally_named bigint;
    tally_began timestamptz;
    {key_variables};
    {low_variables};
    {logged_variables}
BEGIN
    SELECT p.tally_from_start, {p_low} INTO tally_from_start, {low} FROM {sweep_position}() p;
    tally_sweep := tally_from_start IS NOT NULL;
    IF tally_from_start THEN
        RETURN {sweep_alone}(tally_max_keys, tally_reach);
    END IF;
    tally_wide := {first}(1, {wide}) IS NOT NULL;
    SELECT t.tally_consumed, (t.tally_span).oldest, (t.tally_span).newest, (t.tally_span).since, t.tally_through, {t_key_arrays}{t_logged}
    INTO tally_result.consumed, tally_span.oldest, tally_span.newest, tally_span.since, tally_through, {key_arrays}{logged_targets} FROM {take}(tally_reach) t;
    tally_retry := tally.has_due({view_id});
    IF tally_result.consumed = 0 AND NOT tally_wide AND NOT tally_sweep AND NOT tally_retry THEN
        tally_result.outcome := 'nothing';
        tally_result.more := false;
        RETURN tally_result;
    END IF;
    tally_result.more := tally_result.consumed >= tally_reach;
    IF tally_result.more AND NOT tally_sweep AND tally.is_most({view_id}, tally_reach) AND NOT tally.sweep_is_dearer({view_id}, tally_max_keys) THEN
        INSERT INTO {delta} (tally_xid, tally_upto, tally_at, tally_source) VALUES (tally_span.oldest, tally_span.newest, tally_span.since, {sweep});
        RETURN {sweep_alone}(tally_max_keys, tally_reach);
    END IF;
    {expand_logged}
    {choose}
    IF tally_wide AND NOT tally_result.more AND NOT tally_sweep AND cardinality(tally_keys_1) > tally_max_keys - tally_max_keys / 4 THEN
        tally_room := tally_max_keys - tally_max_keys / 4;
        PERFORM {put_wide}(tally_room, tally_span, {key_arrays});
        {cut_arrays}
    END IF;
    IF tally_wide THEN
        SELECT tally_result.consumed + t.consumed, t.filled, (t.span).oldest, (t.span).newest, (t.span).since, {t_key_arrays}
        INTO tally_result.consumed, tally_wide, tally_span.oldest, tally_span.newest, tally_span.since, {key_arrays}
        FROM {take_wide}(CASE WHEN tally_result.more OR tally_sweep THEN tally_reach ELSE tally_max_keys - coalesce(cardinality(tally_keys_1), 0) END, tally_span, {key_arrays}) t;
    END IF;
    {drop_unswept}
    tally_room := CASE WHEN tally_result.more THEN 0 WHEN tally_sweep THEN tally_max_keys - tally_max_keys / 4 ELSE tally_max_keys END;
    IF cardinality(tally_keys_1) > tally_room THEN  -- the rest waits in the delta table
        PERFORM {put_wide}(tally_room, tally_span, {key_arrays});
        tally_wide := true;
        {cut_arrays}
    END IF;
    tally_room := CASE WHEN tally_result.more THEN 0 ELSE tally_max_keys - coalesce(cardinality(tally_keys_1), 0) END;
    tally_result.keys := coalesce(cardinality(tally_keys_1), 0);
    tally_began := clock_timestamp();
    SELECT e.changed, e.quarantined INTO tally_result.changed, tally_result.quarantined FROM {evaluate}({key_arrays}) e;
    PERFORM tally.note_cost({view_id}, tally_result.keys, tally_began);
    IF tally_retry THEN  -- apart from the others, which would be halved with them
        SELECT {quarantined_keys} INTO {key_arrays} FROM {quarantined}(true) q;
        SELECT tally_result.keys + coalesce(cardinality(tally_keys_1), 0), tally_result.changed + e.changed, tally_result.quarantined + e.quarantined
        INTO tally_result.keys, tally_result.changed, tally_result.quarantined FROM {evaluate}({key_arrays}) e;
    END IF;
    IF tally_sweep THEN
        SELECT * INTO tally_step FROM {sweep_forward}(greatest(tally_room, 0), tally_swept) t;
        tally_result.consumed := tally_result.consumed + tally_step.consumed;
        tally_result.keys := tally_result.keys + tally_step.keys;
        tally_result.changed := tally_result.changed + tally_step.changed;
        tally_result.quarantined := tally_result.quarantined + tally_step.quarantined;
    END IF;
    -- not whether a row waits: writers who never pause would keep a merge from ever having caught up
    tally_result.more := tally_result.more OR tally_wide OR {first}(1, {sweep}) IS NOT NULL;
    tally_result.outcome := 'merged';
    PERFORM tally.record_merge({view_id}, tally_result, least(tally_through, (SELECT o.tally_oldest FROM {oldest}() o)));
    RETURN tally_result;
END
$body$ $template$, jsonb_build_object(
        'consume',           tally.part(v, '_consume'),
        'view_id',           v.id,
        'search_path',       tally.fixed_path(v.definition),
        'delta',             tally.part(v, '_delta'),
        'first',             tally.part(v, '_first'),
        'take_wide',         tally.part(v, '_take_wide'),
        'put_wide',          tally.part(v, '_put_wide'),
        'evaluate',          tally.part(v, '_evaluate'),
        'sweep_alone',       tally.part(v, '_sweep_alone'),
        'take',              tally.part(v, '_take'),
        'sweep_position',    tally.part(v, '_sweep_position'),
        'low',               tally.column_list(tally.numbered(v.key, 'tally_low_')),
        'p_low',             tally.column_list(tally.numbered(v.key, 'tally_low_'), 'p.'),
        'low_variables',     tally.plain_list(v.definition, v.key, '', tally.numbered(v.key, 'tally_low_'), '', E';\n'),
        'drop_unswept',      tally.sql_drop_unswept(v),
        'cut_arrays',        (SELECT string_agg(format('%1$I := %1$I[:tally_room];', a), ' ' ORDER BY n) FROM unnest(key_arrays) WITH ORDINALITY u(a, n)),
        'sweep_forward',     tally.part(v, '_sweep_forward'),
        'quarantined',       tally.part(v, '_quarantined'),
        'quarantined_keys',  tally.sql_gather(tally.numbered(v.key, 'tally_key_')),
        'wide',              tally.delta_code('wide'),
        'sweep',             tally.delta_code('sweep'),
        'oldest',            tally.part(v, '_oldest'),
        'key_arrays',        tally.column_list(key_arrays),
        'key_variables',     tally.plain_list(v.definition, v.key, '[]', key_arrays, '', E';\n'),
        't_key_arrays',      tally.column_list(key_arrays, 't.'),
        'logged_variables',  tally.logged_list(v, '%1$I %2$s[];', E'\n'),
        'logged_targets',    tally.logged_list(v, ', %1$I'),
        't_logged',          tally.logged_list(v, ', t.%1$I'),
        'expand_logged',     tally.sql_expand_logged(v, tally.render($template$INSERT INTO {delta} (tally_xid, tally_upto, tally_at, tally_source) VALUES (tally_span.oldest, tally_span.newest, tally_span.since, {sweep});
RETURN {sweep_alone}(tally_max_keys, tally_reach);$template$, jsonb_build_object('delta', tally.part(v, '_delta'), 'sweep', tally.delta_code('sweep'), 'sweep_alone', tally.part(v, '_sweep_alone')))),
        'choose',            tally.sql_choose(v)));
    PERFORM tally.seal(tally.part(v, '_consume') || '(integer)', 'one bounded merge of ' || tally.part(v) || '; called by tally.merge');
    PERFORM tally.generate_sweep_alone(v);
    PERFORM tally.generate_take(v);
    PERFORM tally.generate_wide(v);
    PERFORM tally.generate_sweep_forward(v);
END
$generator$;

-- tally.sql_choose: statements that start a sweep if that is estimated to be faster than merging the collected keys and those of wide
-- changes by key. The delta rows of these keys are then replaced by the sweep's.
CREATE OR REPLACE FUNCTION tally.sql_choose(v tally.derived_view)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT CASE WHEN EXISTS (SELECT FROM tally.guides(v)) THEN tally.render($template$IF NOT tally_sweep AND tally.prefers_sweep({view_id}, coalesce(cardinality(tally_keys_1), 0)
        + CASE WHEN tally_wide THEN (SELECT w.tally_named FROM {wide_span}() w) ELSE 0 END, tally_max_keys) THEN
    INSERT INTO {delta} (tally_xid, tally_upto, tally_at, tally_source)
    SELECT least(tally_span.oldest, (w.tally_span).oldest), greatest(tally_span.newest, (w.tally_span).newest), least(tally_span.since, (w.tally_span).since), {sweep}
    FROM {wide_span}() w;
    RETURN {sweep_alone}(tally_max_keys, tally_reach);
END IF;$template$, jsonb_build_object(
        'view_id',     v.id,
        'delta',       tally.part(v, '_delta'),
        'wide_span',   tally.part(v, '_wide_span'),
        'sweep',       tally.delta_code('sweep'),
        'sweep_alone', tally.part(v, '_sweep_alone'))) ELSE '' END
$generator$;

-- tally.sql_drop_unswept: statements that drop the keys which a sweep has not reached yet. The sweep takes over the span of transactions of
-- their delta rows, for tally.wait_for. Nothing is dropped while keys are quarantined, because a key leaves the quarantine only when
-- it is evaluated by itself.
CREATE OR REPLACE FUNCTION tally.sql_drop_unswept(v tally.derived_view)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT tally.render($template$IF tally_sweep AND NOT tally.has_quarantined({view_id}) THEN
    tally_named := cardinality(tally_keys_1);
    SELECT {gathered} INTO {key_arrays} FROM unnest({key_arrays}) AS k({key}) WHERE NOT {not_swept};
    IF cardinality(tally_keys_1) IS DISTINCT FROM tally_named THEN
        tally_swept := tally_span;
    END IF;
END IF;$template$, jsonb_build_object(
        'view_id',    v.id,
        'gathered',   tally.sql_gather(v.key),
        'key',        tally.column_list(v.key),
        'key_arrays', tally.column_list(tally.numbered(v.key)),
        'not_swept',  tally.sql_not_swept(v, 'k')))
$generator$;

-- tally.generate_sweep_alone: make <projection>_sweep_alone(max_keys, reach): a merge while a sweep is at its start. The sweep will reach
-- every key, so logged changes are dropped unread. If more than reach rows wait, a merge drops a part; the sweep starts when all are dropped.
CREATE OR REPLACE FUNCTION tally.generate_sweep_alone(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $generator$
BEGIN
    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {sweep_alone}(tally_max_keys integer, tally_reach integer) RETURNS tally.merge_result LANGUAGE plpgsql SECURITY DEFINER SET search_path = {search_path} AS $body$
#variable_conflict use_column
DECLARE
    tally_result tally.merge_result;
    tally_span tally.span;
    tally_step record;
    tally_through xid8;
    tally_logged bigint;
BEGIN
    SELECT l.tally_consumed, l.tally_consumed + w.tally_consumed, least((l.tally_span).oldest, (w.tally_span).oldest), greatest((l.tally_span).newest, (w.tally_span).newest),
        least((l.tally_span).since, (w.tally_span).since), least(l.tally_through, w.tally_through)
    INTO tally_logged, tally_result.consumed, tally_span.oldest, tally_span.newest, tally_span.since, tally_through
    FROM {discard}(tally_reach, {one_key}) l CROSS JOIN {discard}(tally_reach, {wide}) w;
    SELECT * INTO tally_step FROM {sweep_forward}(CASE WHEN tally_logged < tally_reach THEN tally_max_keys ELSE 0 END, tally_span) t;
    tally_result.consumed := tally_result.consumed + tally_step.consumed;
    tally_result.keys := tally_step.keys;
    tally_result.changed := tally_step.changed;
    tally_result.quarantined := tally_step.quarantined;
    tally_result.more := {first}(1, {sweep}) IS NOT NULL OR {first}(1, {wide}) IS NOT NULL;
    tally_result.outcome := 'merged';
    PERFORM tally.record_merge({view_id}, tally_result, least(tally_through, (SELECT o.tally_oldest FROM {oldest}() o)));
    RETURN tally_result;
END
$body$ $template$, jsonb_build_object(
        'sweep_alone',   tally.part(v, '_sweep_alone'),
        'view_id',       v.id,
        'search_path',   tally.fixed_path(v.definition),
        'first',         tally.part(v, '_first'),
        'discard',       tally.part(v, '_discard'),
        'oldest',        tally.part(v, '_oldest'),
        'sweep_forward', tally.part(v, '_sweep_forward'),
        'one_key',       tally.delta_code('key'),
        'wide',          tally.delta_code('wide'),
        'sweep',         tally.delta_code('sweep')));
    PERFORM tally.seal(tally.part(v, '_sweep_alone') || '(integer, integer)', 'one bounded merge of ' || tally.part(v) || ' while a sweep stands at its start');
END
$generator$;

-- tally.is_most: whether the backlog is so long that a sweep is assumed to be faster, as long as no costs are known: the rows taken, or
-- those that wait, are at least half as many as there are keys.
CREATE OR REPLACE FUNCTION tally.is_most(view_id integer, taken bigint)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v       tally.derived_view := tally.view_by_id(view_id);
    keys    bigint := greatest(tally.estimate_keys(v), tally.stored_rows(v));
    waiting boolean;
BEGIN
    IF keys / 2 <= taken THEN
        RETURN true;
    END IF;
    IF pg_relation_size(tally.relation_of(v, '_delta')) / 48 < keys / 2 - taken THEN  -- no row is smaller: it need not be read
        RETURN false;
    END IF;
    EXECUTE format('SELECT EXISTS (SELECT FROM %s OFFSET $1)', tally.part(v, '_delta')) INTO waiting USING keys / 2 - taken - 1;
    RETURN waiting;
END
$$;

-- tally.logged_columns: the columns of the delta table that hold the watched columns of sources with an expand, with their types.
DROP FUNCTION IF EXISTS tally.logged_columns(tally.derived_view);  -- it returned fewer columns
CREATE OR REPLACE FUNCTION tally.logged_columns(v tally.derived_view)
RETURNS TABLE (ordinal smallint, i bigint, col name, type text, given text) LANGUAGE sql STABLE AS $$
    SELECT s.ordinal, u.i, l.col, tally.given_type(s.relation, u.c), CASE WHEN tally.is_array(s.relation, u.c) THEN format('CAST(%I AS text)', l.col) ELSE quote_ident(l.col) END
    FROM tally.source s CROSS JOIN LATERAL unnest(s.columns) WITH ORDINALITY u(c, i) CROSS JOIN LATERAL (SELECT tally.logged_column(s.ordinal, u.c)) l(col)
    WHERE s.projection_id = v.id AND s.expand IS NOT NULL
$$;

-- tally.logged_list: a piece of code for each of these columns, joined.
--   Parameters pattern: for format(): %1$I the column, %2$s its type, %3$s what is gathered of it, %4$s the number of its source
CREATE OR REPLACE FUNCTION tally.logged_list(v tally.derived_view, pattern text, separator text DEFAULT '')
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce(string_agg(format(pattern, c.col, c.type, c.given, c.ordinal), separator ORDER BY c.ordinal, c.i), '') FROM tally.logged_columns(v) c
$$;

-- tally.sql_expand_logged: statements that complete the variables tally_keys_…: they add the keys that changed rows of other sources
-- lead to, and keep each key once. A source that nothing was logged of costs nothing, not even the planning of its expand.
--   Parameters every_key: statements for when an expand raises for some row, as it may for one that the view itself never evaluates it for: its condition
--              is on another table, or PostgreSQL checks it later. Then any key may have changed
DROP FUNCTION IF EXISTS tally.sql_expand_logged(tally.derived_view);  -- a merge failed for such a row until it was gone
CREATE OR REPLACE FUNCTION tally.sql_expand_logged(v tally.derived_view, every_key text)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT coalesce((
        SELECT string_agg(tally.render($template$IF {some_logged} THEN
    BEGIN
        SELECT {added} INTO {key_arrays} FROM (SELECT {gathered} FROM {expand}({logged}) AS k({key})) AS x({more});
    EXCEPTION WHEN data_exception OR integrity_constraint_violation OR cardinality_violation OR raise_exception THEN
        {every_key}
    END;
END IF;
$template$, jsonb_build_object(
            'every_key',   every_key,
            'some_logged', coalesce(quote_ident(tally.logged_column(s.ordinal, s.columns[1])) || ' IS NOT NULL', 'true'),
            'added',       (SELECT string_agg(format('%I || x.%I', a, m), ', ' ORDER BY n) FROM unnest(key_arrays, more) WITH ORDINALITY u(a, m, n)),
            'key_arrays',  tally.column_list(key_arrays),
            'more',        tally.column_list(more),
            'gathered',    tally.sql_gather(v.key),
            'key',         tally.column_list(v.key),
            'expand',      tally.part(v, '_expand_' || s.ordinal),
            'logged',      (SELECT string_agg(quote_ident(l.col), ', ' ORDER BY l.i) FROM tally.logged_columns(v) l WHERE l.ordinal = s.ordinal))), '' ORDER BY s.ordinal)
        FROM tally.source s WHERE s.projection_id = v.id AND s.expand IS NOT NULL), '')
    || tally.render('SELECT {gathered} INTO {key_arrays} FROM (SELECT DISTINCT {collated_key} FROM unnest({key_arrays}) AS k({key})) u;', jsonb_build_object(
        'gathered',     tally.sql_gather(v.key),
        'key_arrays',   tally.column_list(key_arrays),
        'collated_key', tally.collated_list(v.definition, v.key, 'k.'),
        'key',          tally.column_list(v.key)))
    FROM (SELECT tally.numbered(v.key), tally.numbered(v.key, 'tally_more_')) x(key_arrays, more)
$generator$;
