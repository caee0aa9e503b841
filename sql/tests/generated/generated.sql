-- Everything that the engine made for the derived views of this database, as text. GeneratedCodeTest compares it with a golden file.
-- Parameters $1: whether to include views, whose text depends on the version of PostgreSQL.
WITH made AS (
    SELECT 1 AS part, p.proname AS name, format(E'%s\n%s', pg_get_functiondef(p.oid), obj_description(p.oid, 'pg_proc')) AS body
    FROM tally.derived_view v CROSS JOIN LATERAL tally.functions_made(v) f JOIN pg_proc p ON p.oid = f.function::regprocedure
    WHERE p.prosqlbody IS NULL OR $1
    UNION ALL
    SELECT 2, c.relname, format(E'CREATE VIEW %s AS\n%s\n%s', c.oid::regclass, pg_get_viewdef(c.oid), obj_description(c.oid, 'pg_class'))
    FROM tally.derived_view v CROSS JOIN unnest('{_live,_change,_def}'::text[]) s JOIN pg_class c ON c.oid = tally.relation_of(v, s) AND c.relkind = 'v'
    WHERE $1 AND c.oid IS DISTINCT FROM v.definition
    UNION ALL
    SELECT 3, c.relname, format('CREATE TABLE %s (%s)%s', c.oid::regclass, (
               SELECT string_agg(concat_ws(' ', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
                                           'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)), ', ' ORDER BY a.attnum)
               FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
               ' WITH ' || c.reloptions::text)
    FROM tally.derived_view v CROSS JOIN unnest('{"",_delta,_state,_identity,_cell}'::text[]) s JOIN pg_class c ON c.oid = tally.relation_of(v, s) AND c.relkind IN ('r', 'c')
    UNION ALL
    SELECT 4, n.relname, pg_get_indexdef(x.indexrelid)
    FROM tally.derived_view v CROSS JOIN unnest('{"",_delta,_state}'::text[]) s JOIN pg_index x ON x.indrelid = tally.relation_of(v, s) JOIN pg_class n ON n.oid = x.indexrelid
    UNION ALL
    SELECT 5, t.tgname, pg_get_triggerdef(t.oid) FROM tally.derived_view v CROSS JOIN LATERAL tally.triggers_of(v.id) t
)
SELECT string_agg(body, E'\n' ORDER BY part, name COLLATE "C", body COLLATE "C") || E'\n' FROM (SELECT DISTINCT * FROM made) m
