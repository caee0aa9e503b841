-- tally.health: what the engine needs from each table that it watches, and whether it has it.
--   Returns   view, relation, trigger, ok, problem: a row per trigger. Also rows with ok = false: one for each partition or child that was attached later
--             and lacks triggers, one for each that was detached and still has some, and one for partitions that were dropped
--   Used by    operators, the API
--   Notes     The functions that it asks for rows say how many they return (ROWS 2). With PostgreSQL's guess of 1000 for each, health would look so
--             expensive that it is compiled (jit), which takes seconds
CREATE OR REPLACE VIEW tally.health AS
WITH needed AS MATERIALIZED (
    SELECT tally.name_of(v.schema_name, v.relation_name) AS view, (SELECT m.relation FROM tally.made m WHERE m.view_id = v.id AND m.suffix = '') AS stored, s.relation AS source, t.relation, n.trigger::text AS trigger, g.oid AS there, g.tgenabled AS enabled
    FROM tally.derived_view v
    JOIN tally.source s ON s.projection_id = v.id AND s.columns IS NOT NULL
    CROSS JOIN LATERAL tally.table_and_children(s.relation) AS t(relation)
    CROSS JOIN LATERAL tally.triggers_needed(v, s, t.relation) AS n
    LEFT JOIN pg_trigger g ON g.tgrelid = t.relation AND g.tgname = n.trigger
    WHERE v.state <> 'defined' AND EXISTS (SELECT FROM pg_class c WHERE c.oid = s.relation)
)
SELECT n.view, tally.shown(n.relation) AS relation, n.trigger, coalesce(n.enabled IN ('O', 'A'), false) AS ok,
       CASE WHEN n.there IS NULL THEN 'the trigger is missing'
            WHEN n.enabled = 'D' THEN 'the trigger is disabled'
            WHEN n.enabled = 'R' THEN 'the trigger fires in replica mode only' END AS problem
FROM needed n WHERE n.there IS NOT NULL OR n.relation = n.source
UNION ALL
SELECT n.view, tally.shown(n.relation), CASE WHEN bool_and(n.there IS NULL) THEN NULL ELSE string_agg(n.trigger, ', ' ORDER BY n.trigger) FILTER (WHERE n.there IS NULL) END, false,
       'a partition without the trigger: its rows came unseen, and what is written to it directly is not seen'
FROM needed n WHERE n.relation <> n.source GROUP BY n.view, n.source, n.relation HAVING bool_or(n.there IS NULL)
UNION ALL
SELECT DISTINCT tally.name_of(v.schema_name, v.relation_name), tally.shown(g.relation), NULL, false,
       format('the table is no longer part of %s: its rows left unseen', s.relation)
FROM tally.derived_view v JOIN tally.source s ON s.projection_id = v.id CROSS JOIN LATERAL tally.stray_triggers(s) g
UNION ALL
SELECT DISTINCT tally.name_of(v.schema_name, v.relation_name), tally.shown(c.oid), NULL, false,
       format(CASE WHEN c.oid IS NULL THEN 'a partition of %s was dropped: its rows left unseen' ELSE 'the table is no longer part of %s: its rows left unseen' END, s.relation)
FROM tally.derived_view v
JOIN tally.source s ON s.projection_id = v.id AND EXISTS (SELECT FROM pg_class k WHERE k.oid = s.relation)
CROSS JOIN LATERAL unnest(s.members) AS m(relation)
LEFT JOIN pg_class c ON c.oid = m.relation
WHERE m.relation NOT IN (SELECT t FROM tally.table_and_children(s.relation) t)
  AND m.relation NOT IN (SELECT g.relation FROM tally.stray_triggers(s) g)
UNION ALL
SELECT tally.name_of(v.schema_name, v.relation_name), NULL, NULL, false, format('key %s is quarantined: %s', left(q.key::text, 200), q.error)
FROM tally.quarantine q JOIN tally.derived_view v ON v.id = q.view_id
UNION ALL
SELECT tally.name_of(v.schema_name, v.relation_name), NULL, NULL, false, 'made by another version of the engine: its owner has to call tally.regenerate()'
FROM tally.derived_view v WHERE v.kind = 'projection' AND v.state <> 'defined' AND v.generated_by IS DISTINCT FROM (SELECT tally.generator())
UNION ALL
SELECT tally.name_of(v.schema_name, v.relation_name), NULL, NULL, false, tally.lost(v) FROM tally.derived_view v WHERE tally.lost(v) IS NOT NULL
UNION ALL
SELECT tally.name_of(v.schema_name, v.relation_name), tally.shown(tally.definition_of(v)), NULL, false, t.problem
FROM tally.derived_view v CROSS JOIN LATERAL tally.definition_trouble(v.id) AS t(problem) WHERE v.root_id IS NULL AND t.problem IS NOT NULL
UNION ALL
SELECT tally.name_of(v.schema_name, v.relation_name), NULL, NULL, false, format('%s; %s', c.problem, c.remedy)
FROM tally.derived_view v CROSS JOIN LATERAL tally.closed_to_owner(v.id) c WHERE v.state <> 'defined' AND c.problem IS NOT NULL
UNION ALL
SELECT tally.name_of(v.schema_name, v.relation_name), tally.shown(tally.definition_of(v)), NULL, false, format('merges have stopped: %s', m.error)
FROM tally.derived_view v JOIN tally.merge_state m ON m.view_id = v.id
WHERE m.error_sqlstate = 'TL023' AND tally.definition_trouble(v.id) IS NULL AND (tally.closed_to_owner(v.id)).problem IS NULL
UNION ALL
SELECT DISTINCT tally.name_of(v.schema_name, v.relation_name), NULL, NULL::text, false, 'something was written that could not be logged, because its delta table was closed or had another name: the next merge compares every key'
FROM tally.unlogged u JOIN tally.derived_view v ON v.id = u.view_id
UNION ALL
SELECT tally.name_of(v.schema_name, v.relation_name), tally.shown(s.relation), NULL, false, format('what is watched of %s cannot reach every key: %s; see tally.explain', s.relation, s.doubt)
FROM tally.derived_view v JOIN tally.source s ON s.projection_id = v.id WHERE s.doubt IS NOT NULL AND v.state <> 'defined'
UNION ALL
SELECT tally.name_of(v.schema_name, v.relation_name), tally.shown(s.relation), NULL, true, 'an index is missing on the way to the keys: ' || m
FROM tally.derived_view v JOIN tally.source s ON s.projection_id = v.id CROSS JOIN LATERAL tally.missing_indexes(s.wanted) m WHERE v.state <> 'defined'
UNION ALL
SELECT tally.name_of(v.schema_name, v.relation_name), tally.shown(s.relation), NULL, false, format('%s %s; %s', s.relation, t.problem, t.remedy)
FROM tally.derived_view v JOIN tally.source s ON s.projection_id = v.id AND s.columns IS NOT NULL AND EXISTS (SELECT FROM pg_class c WHERE c.oid = s.relation)
CROSS JOIN LATERAL tally.source_troubles(s.relation) t WHERE v.state <> 'defined'
UNION ALL
SELECT tally.name_of(v.schema_name, v.relation_name), tally.shown(t.relation), NULL, false,
       format('%s is written by the subscription %I, whose apply fires no statement trigger; publish what is derived from it, or SELECT tally.rebuild(%L) now and then', t.relation, b.subname::text COLLATE "default",
              tally.name_of(v.schema_name, v.relation_name))
FROM tally.derived_view v JOIN tally.source s ON s.projection_id = v.id AND s.columns IS NOT NULL CROSS JOIN LATERAL tally.table_and_children(s.relation) AS t(relation)
JOIN pg_subscription_rel r ON r.srrelid = t.relation JOIN pg_subscription b ON b.oid = r.srsubid WHERE v.state <> 'defined'
UNION ALL
SELECT tally.name_of(v.schema_name, v.relation_name), tally.shown(m.relation), NULL, false,
       format('%s is unlogged: a crash empties it, and readers find it so until the next merges fill it again; ALTER TABLE %1$s SET LOGGED.', m.relation)
FROM tally.derived_view v JOIN tally.made_now m ON m.view_id = v.id JOIN pg_class c ON c.oid = m.relation WHERE c.relpersistence = 'u'
UNION ALL
SELECT tally.name_of(v.schema_name, v.relation_name), tally.shown(m.relation), NULL, false, o.problem
FROM tally.derived_view v JOIN tally.made_now m ON m.view_id = v.id AND m.suffix = '' CROSS JOIN LATERAL tally.owner_trouble(v.id, m.relation) o(problem)
WHERE v.state <> 'defined' AND v.root_id IS NULL AND o.problem IS NOT NULL
UNION ALL
SELECT tally.name_of(v.schema_name, v.relation_name), tally.shown(m.relation), NULL, false, format('%s on %s may change or leave out what the engine writes there: drop it, then SELECT tally.rebuild(%L)', h.hook, m.relation,
       tally.name_of(v.schema_name, v.relation_name))
FROM tally.derived_view v JOIN tally.made_now m ON m.view_id = v.id AND m.suffix IN ('', '_delta', '_state') JOIN pg_class c ON c.oid = m.relation AND c.relkind = 'r' AND (c.relhasrules OR c.relhastriggers)
CROSS JOIN LATERAL (SELECT format('the rule %I', r.rulename) FROM pg_rewrite r WHERE r.ev_class = c.oid
                    UNION ALL SELECT format('the trigger %I', g.tgname) FROM pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal
                        AND (m.suffix <> '' OR g.tgtype & 3 = 3 AND g.tgenabled <> 'D')) h(hook)  -- on the table that readers read, AFTER triggers may do what they like
UNION ALL
SELECT tally.name_of(v.schema_name, v.relation_name), tally.shown(i.inhrelid), NULL, false, format('%s inherits from %s, so its rows are read as if a merge had written them: ALTER TABLE %1$s NO INHERIT %2$s',
       i.inhrelid::regclass, m.relation)
FROM tally.derived_view v JOIN tally.made_now m ON m.view_id = v.id JOIN pg_inherits i ON i.inhparent = m.relation
UNION ALL
SELECT tally.name_of(v.schema_name, v.relation_name), tally.shown(u.relation), NULL, false, format('came to %s or left it: the next merge compares its rows', s.relation)
FROM tally.derived_view v JOIN tally.source s ON s.projection_id = v.id CROSS JOIN LATERAL unnest(s.unread) AS u(relation)
UNION ALL
SELECT tally.name_of(v.schema_name, v.relation_name), tally.shown(w.target), NULL, false, 'what is written back was refused: ' || w.error
FROM tally.write_back w JOIN tally.derived_view v ON v.id = w.view_id WHERE w.error IS NOT NULL
UNION ALL
SELECT tally.name_of(v.schema_name, v.relation_name), tally.shown(l.relation), l.trigger::text, false, 'the trigger that tells what is to be written back is missing or disabled'
FROM tally.derived_view v CROSS JOIN LATERAL tally.lost_write_backs(v.id) l
UNION ALL
SELECT DISTINCT n.view, tally.shown(n.relation), NULL, w.remedy IS NULL AND current_setting('session_replication_role') <> 'replica',
       'triggers on it do not fire in sessions whose session_replication_role is replica: ' || coalesce(w.remedy, 'its owner has to set them to ENABLE ALWAYS')
FROM needed n JOIN pg_class c ON c.oid = n.relation LEFT JOIN pg_class d ON d.oid = n.stored
CROSS JOIN LATERAL (SELECT CASE WHEN pg_has_role((SELECT e.nspowner FROM pg_namespace e WHERE e.nspname = 'tally'), c.relowner, 'USAGE') THEN 'the next merge sets them to ENABLE ALWAYS'
                                WHEN pg_has_role(d.relowner, c.relowner, 'USAGE') THEN format('SELECT tally.heal(%L) sets them to ENABLE ALWAYS', n.view COLLATE "default") END) w(remedy)
WHERE n.enabled = 'O';
COMMENT ON VIEW tally.health IS 'every trigger the engine needs, whether it is there and enabled; partitions that bypass it or have gone; quarantined keys';
