-- The derived sources of each view in views.sql and of the projections in results, as text. It is compared with derived.txt on every version.
SELECT string_agg(line, E'\n' ORDER BY name COLLATE "C", relation COLLATE "C") || E'\n' FROM (
    SELECT s.name, s.relation::oid::regclass::text AS relation,
           format(E'%s, %s: watch {%s}: %s%s%s', s.name, s.relation, array_to_string(s.columns, ','), s.reach, ' (' || s.why || ')', E'\n' || s.expand) AS line
    FROM fuzz.source s
    UNION ALL
    SELECT v.relation_name, d.source::text, format(E'%s, %s: watch {%s}: %s%s%s', v.relation_name, d.source, array_to_string(d.columns, ','), d.reach, ' (' || d.why || ')', E'\n' || d.expand)
    FROM tally.derived_view v CROSS JOIN LATERAL tally.derive(v.definition, v.key, tally.part(v)) d
    WHERE v.schema_name = 'results' AND v.kind = 'projection') x
