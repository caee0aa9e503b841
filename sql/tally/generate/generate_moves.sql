-- tally.generate_moves: the trigger functions that follow rows of a partitioned source to another partition.
--   Makes     <projection>_begin_<n>(), before an INSERT or an UPDATE: sets a flag that the statement is running
--             <projection>_move_<n>(), for a row that leaves its partition, and for its arrival in another: logs both
--   Notes     The statement trigger of an UPDATE sees moved rows. In a MERGE (15 to 18) none does, unless the MERGE has other actions
--             too. But row triggers fire for both: DELETE, then INSERT. They have conditions, so that they act only while an UPDATE
--             or a MERGE is running. The flags are transaction-local settings, so a rollback resets them
CREATE OR REPLACE FUNCTION tally.generate_moves(v tally.derived_view, s tally.source)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $generator$
DECLARE
    begin_name text := tally.part(v, '_begin_' || s.ordinal);
    move_name  text := tally.part(v, '_move_' || s.ordinal);
BEGIN
    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {begin_name}() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    tally_flag text;
BEGIN
    IF TG_OP = 'INSERT' THEN
        tally_flag := set_config({inserting}, concat(current_setting({inserting}, true), '+'), true);
    ELSE
        tally_flag := set_config({updating}, concat(current_setting({updating}, true), '+'), true);
    END IF;
    RETURN NULL;
END
$body$ $template$, jsonb_build_object(
        'begin_name', begin_name,
        'inserting',  tally.sql_flag(v, s, 'inserting'),
        'updating',   tally.sql_flag(v, s, 'updating')));
    PERFORM tally.seal(begin_name || '()', format('notes that %s is being written', s.relation));
    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {move_name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off{pins} AS $body$
#variable_conflict use_column
BEGIN
    {return_unlogged}
    {sweep_without_types}
    IF (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = TG_RELID AND ({columns_hold})) < {columns} THEN
        INSERT INTO {delta} (tally_source) VALUES ({sweep});  -- a cached plan would read the row as it was made before
    ELSIF TG_OP = 'DELETE' THEN
        {log_old};
    ELSE
        {log_new};
    END IF;
    RETURN NULL;
END
$body$ $template$, jsonb_build_object(
        'move_name',           move_name,
        'pins',                tally.sql_pins_of_log(s),
        'return_unlogged',     tally.sql_return_unlogged(v),
        'sweep_without_types', tally.sql_sweep_without_types(v, s),
        'columns_hold',        (SELECT string_agg(format('a.attname = %L AND a.atttypid = %s', c, tally.sql_watched_type(s, c)), ' OR ' ORDER BY c COLLATE "C")
                                FROM (SELECT DISTINCT unnest(s.columns)) AS u(c)),
        'columns',             (SELECT count(DISTINCT c) FROM unnest(s.columns) c),
        'delta',               tally.part(v, '_delta'),
        'sweep',               tally.delta_code('sweep'),
        'log_old',             tally.sql_log_rows(v, s, tally.sql_logged(v, s, NULL, '(SELECT OLD.*)'), false),
        'log_new',             tally.sql_log_rows(v, s, tally.sql_logged(v, s, NULL, '(SELECT NEW.*)'), false)));
    PERFORM tally.seal(move_name || '()', format('appends to %s rows of %s that change their partition', tally.part(v, '_delta'), s.relation));
END
$generator$;

-- tally.sql_flag: the name of a flag of a partitioned source: "inserting" or "updating" (a + for each running statement, because statements
-- can be nested), or "leaving" (a row has left its partition).
CREATE OR REPLACE FUNCTION tally.sql_flag(v tally.derived_view, s tally.source, doing text)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT quote_literal(format('tally.%s_%s_%s', doing, v.id, s.ordinal))
$$;

-- tally.sql_end_statement: statements that undo what <projection>_begin_<n> has set.
CREATE OR REPLACE FUNCTION tally.sql_end_statement(v tally.derived_view, s tally.source, doing text)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT format('tally_flag := set_config(%1$s, substr(coalesce(current_setting(%1$s, true), ''''), 2), true);', tally.sql_flag(v, s, doing))
$$;

-- tally.sql_look_up_unseen: see tally.sql_log_unseen. It reads the names of table and columns when it runs, because they may have been renamed.
CREATE OR REPLACE FUNCTION tally.sql_look_up_unseen(v tally.derived_view, s tally.source, unique_key name[])
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $generator$
    SELECT tally.render($template$IF (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = TG_RELID AND a.attname = ANY ({names})) < {number} THEN
    INSERT INTO {delta} (tally_source) VALUES ({sweep});
ELSE
    EXECUTE format({look_up}, TG_RELID::regclass);
END IF;$template$, jsonb_build_object(
        'names',   quote_literal((unique_key || s.columns)::text) || '::name[]',
        'number',  (SELECT count(DISTINCT c) FROM unnest(unique_key || s.columns) c),
        'delta',   tally.part(v, '_delta'),
        'sweep',   tally.delta_code('sweep'),
        'look_up', quote_literal(replace(replace(tally.render($look$INSERT INTO {delta} (tally_source, {target})
SELECT CASE WHEN w.tally_here THEN {code} ELSE {sweep} END, {values}
FROM (SELECT row_number() OVER () AS tally_i, o.* FROM old_rows o) AS o
FULL JOIN (SELECT row_number() OVER () AS tally_i, n.* FROM new_rows n) AS n ON n.tally_i = o.tally_i
LEFT JOIN LATERAL (SELECT true AS tally_here, t.* FROM {table} t WHERE {t_is_o}) AS w ON true
WHERE (ROW({o_key})::record *<> ROW({n_key})::record) IS NOT FALSE AND o.tally_i IS NOT NULL$look$, jsonb_build_object(
            'delta',  tally.part(v, '_delta'),
            'target', (SELECT string_agg(quote_ident(CASE WHEN s.expand IS NULL THEN v.key[i] ELSE tally.logged_column(s.ordinal, s.columns[i]) END), ', ' ORDER BY i)
                       FROM generate_subscripts(s.columns, 1) i),
            'code',   CASE WHEN s.expand IS NULL THEN tally.delta_code('key') ELSE s.ordinal END,
            'sweep',  tally.delta_code('sweep'),
            'values', tally.column_list(s.columns, 'w.'),
            'table',  E'\x01',
            't_is_o', tally.sql_same(s.relation, unique_key, 't', 'o'),
            'o_key',  tally.column_list(unique_key, 'o.'),
            'n_key',  tally.column_list(unique_key, 'n.'))), '%', '%%'), E'\x01', '%1$s'))))
$generator$;

-- tally.sql_log_unseen: statements at the end of an UPDATE of a partitioned source. If a MERGE inserts before it updates, PostgreSQL puts
-- the inserted row in place of the updated one among the new rows. So an old row whose unique key differs from that of its new row is
-- looked up, and if it is not found, a sweep is logged. Without a unique key, every such MERGE logs a sweep.
CREATE OR REPLACE FUNCTION tally.sql_log_unseen(v tally.derived_view, s tally.source)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $generator$
    SELECT tally.render($template${end_update}
IF tally_flag = '' THEN
    tally_flag := set_config({leaving}, '', true);
END IF;
IF current_setting({inserting}, true) <> '' AND EXISTS (SELECT FROM old_rows) THEN
    {log}
END IF;$template$, jsonb_build_object(
        'end_update', tally.sql_end_statement(v, s, 'updating'),
        'leaving',    tally.sql_flag(v, s, 'leaving'),
        'inserting',  tally.sql_flag(v, s, 'inserting'),
        'log',        CASE WHEN k.columns IS NULL THEN format('INSERT INTO %s (tally_source) VALUES (%s);', tally.part(v, '_delta'), tally.delta_code('sweep'))
                           ELSE tally.sql_look_up_unseen(v, s, k.columns) END))
    FROM (SELECT tally.unique_key(s.relation) AS columns) k
$generator$;
