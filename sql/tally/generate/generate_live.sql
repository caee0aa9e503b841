-- tally.generate_live: the views that read a projection exactly at the reader's snapshot.
--   Makes     <projection>_live: stored rows of the keys that are not pending, and the definition of those that are;
--             <projection>_change: what the pending keys take away (tally_sign -1) and bring (+1): rollups' _live add it
CREATE OR REPLACE FUNCTION tally.generate_live(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    keys    text := tally.collated_list(v.definition, v.key, 'k.');
    columns text := tally.column_list(tally.columns_of(v.definition), 'd.');
    chain   text := (SELECT string_agg(s.relation::text, ', ') FROM tally.source s
                     JOIN tally.derived_view d ON tally.relation_of(d) = s.relation WHERE s.projection_id = v.id);
BEGIN
    EXECUTE tally.render($template$
CREATE OR REPLACE VIEW {live} AS
WITH pending AS MATERIALIZED (
    SELECT {collated_key} FROM {pending}() k)
SELECT {columns} FROM {stored} d WHERE {not_pending}
UNION ALL
{fresh}$template$, jsonb_build_object(
        'live',        tally.part(v, '_live'),
        'stored',      tally.part(v),
        'pending',     tally.part(v, '_pending'),
        'collated_key', keys,
        'columns',     columns,
        'not_pending', tally.sql_not_in(v.definition, v.key, 'pending', 'd'),
        'fresh',       tally.sql_matching(v.key, v.definition::text, columns)));
    EXECUTE format('COMMENT ON VIEW %s IS %L', tally.part(v, '_live'),
        format('%s, exact at the reader''s snapshot: stored rows, and the definition for keys not merged yet', tally.part(v))
        || coalesce(format('; but only up to the last merge of %s, from which it is derived', chain), ''));

    EXECUTE tally.render($template$
CREATE OR REPLACE VIEW {change} AS
WITH pending AS MATERIALIZED (
    SELECT {collated_key} FROM {pending}() k)
{gone}
UNION ALL
{fresh}$template$, jsonb_build_object(
        'change',  tally.part(v, '_change'),
        'pending', tally.part(v, '_pending'),
        'collated_key', keys,
        'gone',    tally.sql_matching(v.key, tally.part(v), '-1 AS tally_sign, ' || columns),
        'fresh',   tally.sql_matching(v.key, v.definition::text, '1 AS tally_sign, ' || columns)));
    EXECUTE format('COMMENT ON VIEW %s IS %L', tally.part(v, '_change'),
        format('what the next merge would take from (-1) and add to (+1) %s', tally.part(v)));
END
$$;
