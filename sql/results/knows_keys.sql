-- results.has_others_triggers: whether an INSERT or UPDATE of these tables by a batch would fire anything that does not fire while
-- session_replication_role is replica, and that results.hold_parents does not replace.
--   Returns    true if there is a trigger, a rule, a foreign key or another constraint with triggers that somebody has added. Those that are
--              ENABLE ALWAYS, as those of the engine, fire in any case. Keys that refer to an id have nothing to check, because no id changes
--   Reads      the catalog
CREATE OR REPLACE FUNCTION results.has_others_triggers(relations regclass[])
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM pg_class c
        LEFT JOIN pg_trigger t ON t.tgrelid = c.oid AND t.tgenabled NOT IN ('A', 'D') AND t.tgtype & 20 <> 0   -- INSERT or UPDATE
        LEFT JOIN pg_constraint k ON k.oid = t.tgconstraint AND k.contype = 'f'
        LEFT JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = ALL (k.conkey)
        LEFT JOIN pg_attribute i ON i.attrelid = k.confrelid AND i.attnum = ALL (k.confkey)
        WHERE c.oid = ANY (relations)
          AND (c.relkind <> 'r' OR c.relhasrules
               OR t.oid IS NOT NULL AND (i.attname = 'id' AND (k.conrelid <> c.oid OR (c.relname, a.attname, k.confrelid) IN (
                   ('job_capture', 'job_id', 'results.job'::regclass), ('job_capture', 'capture_id', 'results.capture'::regclass),
                   ('occurrence', 'project_id', 'results.project'::regclass), ('occurrence', 'deployment_id', 'results.deployment'::regclass),
                   ('occurrence', 'event_id', 'results.event'::regclass), ('occurrence', 'determination_id', 'results.taxon'::regclass),
                   ('detection', 'capture_id', 'results.capture'::regclass), ('detection', 'occurrence_id', 'results.occurrence'::regclass),
                   ('detection', 'algorithm_id', 'results.algorithm'::regclass), ('classification', 'detection_id', 'results.detection'::regclass),
                   ('classification', 'taxon_id', 'results.taxon'::regclass), ('classification', 'algorithm_id', 'results.algorithm'::regclass))))
                   IS NOT TRUE))
$$;
COMMENT ON FUNCTION results.has_others_triggers(regclass[]) IS 'whether a batch''s writes fire anything that somebody has added';

-- results.knows_keys: whether a batch may leave its foreign keys to results.hold_parents, which checks the same set by set.
--   Returns    false if the batch has fewer than 100 messages (the setting countersink.key_sets_from), if the caller may not lock the parents or set
--              session_replication_role, or if a write to results.job_capture, occurrence, detection or classification would fire anything of
--              somebody's own
--   Locks      the four tables as a write does, so that nothing of that kind is added before the transaction ends
--   Notes      Half of what a batch cost were foreign keys: a query for every row and key, while a batch has few parents. Small batches gain nothing,
--              because every plan is made again.
CREATE OR REPLACE FUNCTION results.knows_keys()
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM pg_temp.batch_message) < coalesce(nullif(current_setting('countersink.key_sets_from', true), '')::integer, 100)
       OR current_setting('session_replication_role') <> 'origin' OR NOT has_parameter_privilege('session_replication_role', 'SET') THEN
        RETURN false;
    END IF;
    LOCK TABLE results.job_capture, results.occurrence, results.detection, results.classification IN ROW EXCLUSIVE MODE;
    RETURN NOT results.has_others_triggers(ARRAY['results.job_capture', 'results.occurrence', 'results.detection', 'results.classification']::regclass[])
       AND NOT EXISTS (SELECT FROM unnest(ARRAY['job', 'project', 'deployment', 'event', 'capture', 'taxon', 'algorithm']) AS parent (name)
                       WHERE NOT has_any_column_privilege('results.' || parent.name, 'UPDATE'));
END
$$;
COMMENT ON FUNCTION results.knows_keys() IS 'whether a batch may check its foreign keys set by set';
