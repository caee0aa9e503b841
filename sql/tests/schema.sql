-- What the schemas of Countersink hold, as text, a line per thing: compared with schema.txt by SchemaTest.
WITH ours AS (SELECT oid, nspname FROM pg_namespace WHERE nspname IN ('tally', 'results', 'control')),
lines (line) AS (
    SELECT format('%s %s.%s%s', CASE c.relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'c' THEN 'type' ELSE c.relkind::text END,
                  n.nspname, c.relname, coalesce(' ' || c.reloptions::text, ''))
    FROM pg_class c JOIN ours n ON n.oid = c.relnamespace WHERE c.relkind NOT IN ('i', 'I', 'S', 't')
    UNION ALL
    SELECT format('column %s.%s.%s %s%s%s%s', n.nspname, c.relname, lpad(a.attnum::text, 2, '0') || ' ' || a.attname, format_type(a.atttypid, a.atttypmod),
                  CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END,
                  coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), ''), CASE WHEN a.attidentity <> '' THEN ' IDENTITY' ELSE '' END)
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN ours n ON n.oid = c.relnamespace
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'c')
    UNION ALL
    SELECT format('constraint %s.%s.%s %s', n.nspname, c.relname, k.conname, pg_get_constraintdef(k.oid))
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN ours n ON n.oid = c.relnamespace WHERE k.contype IN ('p', 'u', 'f', 'c', 'x')
    UNION ALL
    SELECT 'index ' || pg_get_indexdef(i.indexrelid)
    FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN ours n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'm')
    UNION ALL
    SELECT format('function %s.%s(%s) RETURNS %s%s%s', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid), coalesce(pg_get_function_result(p.oid), '-'),
                  CASE WHEN p.prosecdef THEN ' SECURITY DEFINER' ELSE '' END, CASE p.provolatile WHEN 'i' THEN ' IMMUTABLE' WHEN 's' THEN ' STABLE' ELSE '' END)
    FROM pg_proc p JOIN ours n ON n.oid = p.pronamespace
    UNION ALL
    SELECT format('trigger %s', pg_get_triggerdef(t.oid))
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN ours n ON n.oid = c.relnamespace WHERE NOT t.tgisinternal
    UNION ALL
    SELECT format('enum %s.%s %s', n.nspname, t.typname, (SELECT string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid))
    FROM pg_type t JOIN ours n ON n.oid = t.typnamespace WHERE t.typtype = 'e'
)
SELECT string_agg(line, E'\n' ORDER BY line COLLATE "C") || E'\n' FROM lines
