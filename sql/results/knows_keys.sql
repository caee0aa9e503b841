-- results.keys_in_sets: the foreign keys that results.hold_parents checks. Each refers to the id of its parent.
CREATE OR REPLACE FUNCTION results.keys_in_sets()
RETURNS TABLE (relation regclass, col name, parent regclass) LANGUAGE sql STABLE AS $$
    VALUES ('results.job_capture'::regclass, 'job_id'::name, 'results.job'::regclass), ('results.job_capture', 'capture_id', 'results.capture'),
           ('results.occurrence', 'project_id', 'results.project'), ('results.occurrence', 'deployment_id', 'results.deployment'),
           ('results.occurrence', 'event_id', 'results.event'), ('results.occurrence', 'determination_id', 'results.taxon'),
           ('results.detection', 'capture_id', 'results.capture'), ('results.detection', 'occurrence_id', 'results.occurrence'),
           ('results.detection', 'algorithm_id', 'results.algorithm'), ('results.classification', 'detection_id', 'results.detection'),
           ('results.classification', 'taxon_id', 'results.taxon'), ('results.classification', 'algorithm_id', 'results.algorithm')
$$;
COMMENT ON FUNCTION results.keys_in_sets() IS 'the foreign keys that a batch may check set by set';

-- results.has_others_triggers: whether an INSERT or UPDATE of these tables by a batch would fire anything that does not fire while
-- session_replication_role is replica, and that results.hold_parents does not replace; or that fires, but may itself write rows whose triggers
-- and keys then do not.
--   Returns    true if there is a trigger, a rule, a foreign key or another constraint with triggers that somebody has added, or a table that
--              inherits, whose triggers fire too. Only those of the engine, ENABLE ALWAYS, may fire. Keys that refer to an id have nothing
--              to check, because no id changes
--   Reads      the catalog
CREATE OR REPLACE FUNCTION results.has_others_triggers(relations regclass[])
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM pg_class c
        LEFT JOIN pg_trigger t ON t.tgrelid = c.oid AND t.tgenabled <> 'D' AND t.tgtype & 20 <> 0   -- INSERT or UPDATE
            AND NOT (t.tgenabled = 'A' AND t.tgtype & 1 = 0 AND t.tgname ~ '^tally_\d+_\d+_(insert|update)$')
        LEFT JOIN pg_constraint k ON k.oid = t.tgconstraint AND k.contype = 'f'
        LEFT JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = ALL (k.conkey)
        LEFT JOIN pg_attribute i ON i.attrelid = k.confrelid AND i.attnum = ALL (k.confkey)
        WHERE c.oid = ANY (relations)
          AND (c.relkind <> 'r' OR c.relhasrules OR EXISTS (SELECT FROM pg_inherits h WHERE h.inhparent = c.oid)
               OR t.oid IS NOT NULL AND (i.attname = 'id' AND (k.conrelid <> c.oid OR (c.oid, a.attname, k.confrelid) IN (
                   SELECT o.relation, o.col, o.parent FROM results.keys_in_sets() o))) IS NOT TRUE))
$$;
COMMENT ON FUNCTION results.has_others_triggers(regclass[]) IS 'whether a batch''s writes fire anything that somebody has added';

-- results.may_hold_parents: whether the caller may lock the parents of results.hold_parents, and locks what their keys refer to.
--   Returns    false if a right is missing, if a policy would hide rows from the caller, though not from the triggers of keys, or if a
--              table inherits from one of them: a key does not refer to its rows
--   Reads      the catalog
CREATE OR REPLACE FUNCTION results.may_hold_parents()
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT NOT EXISTS (
        SELECT FROM pg_class c
        WHERE c.oid = ANY (ARRAY['results.job', 'results.project', 'results.deployment', 'results.event', 'results.capture', 'results.taxon',
                                 'results.algorithm', 'results.detection']::regclass[])
          AND (c.relkind <> 'r' OR EXISTS (SELECT FROM pg_inherits h WHERE h.inhparent = c.oid) OR row_security_active(c.oid)
               OR NOT has_column_privilege(c.oid, 'id', 'SELECT') OR NOT has_any_column_privilege(c.oid, 'UPDATE')))
$$;
COMMENT ON FUNCTION results.may_hold_parents() IS 'whether the caller may lock the parents of a batch, as the triggers of foreign keys do';

-- results.knows_keys: whether a batch may leave its foreign keys to results.hold_parents, which checks the same set by set, if the caller may.
--   Returns    false if the batch has fewer than 100 messages (the setting countersink.key_sets_from), if the caller may not set
--              session_replication_role, if a write to results.job_capture, occurrence, detection or classification would fire anything of
--              somebody's own, or if one of their keys was dropped or its triggers disabled, so that it asks for less
--   Locks      the four tables as a write does, so that nothing of that kind is added before the transaction ends
--   Notes      Half of what a batch cost were foreign keys: a query for every row and key, while a batch has few parents. Small batches gain nothing,
--              because every plan is made again.
CREATE OR REPLACE FUNCTION results.knows_keys()
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    written constant regclass[] := ARRAY['results.job_capture', 'results.occurrence', 'results.detection', 'results.classification'];
BEGIN
    IF (SELECT count(*) FROM pg_temp.batch_message)
           < coalesce(substring(current_setting('countersink.key_sets_from', true) FROM '^\s*(\d{1,9})\s*$')::integer, 100)
       OR current_setting('session_replication_role') <> 'origin' OR NOT has_parameter_privilege('session_replication_role', 'SET') THEN
        RETURN false;
    END IF;
    LOCK TABLE results.job_capture, results.occurrence, results.detection, results.classification IN ROW EXCLUSIVE MODE;
    RETURN NOT results.has_others_triggers(written)
       AND (SELECT count(DISTINCT (k.conrelid, k.conkey)) FROM pg_constraint k
            JOIN pg_trigger t ON t.tgconstraint = k.oid AND t.tgrelid = k.conrelid AND t.tgtype & 4 <> 0 AND t.tgenabled = 'O'   -- INSERT
            WHERE k.conrelid = ANY (written) AND k.contype = 'f') = (SELECT count(*) FROM results.keys_in_sets());
END
$$;
COMMENT ON FUNCTION results.knows_keys() IS 'whether a batch may check its foreign keys set by set';
