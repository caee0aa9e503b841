-- tally.is_fault_of_key: whether an error is about the data of a key, and not about the server, a lock, a cancelled statement or the
-- definition as a whole. Only for the former does halving the set of keys find the key.
CREATE OR REPLACE FUNCTION tally.is_fault_of_key(state text)
RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT left(state, 2) IN ('21', '22', '23', 'P0') OR state IN ('54000', '38000', '39000', '2F000', '34000', 'TL019')
$$;

-- tally.is_fault_of_key: the same, for an error raised in a merge.
--   Parameters context: the call stack, as in PG_EXCEPTION_CONTEXT
--   Raises    TL025: a trigger on a derived table raised the error. No key is at fault: the merge fails and is tried again
CREATE OR REPLACE FUNCTION tally.is_fault_of_key(view_id integer, state text, message text, context text)
RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE
    culprit record;
BEGIN
    IF left(state, 2) NOT IN ('40', '53', '55', '57', '58', '08', 'XX') AND state <> 'TL025' THEN
        SELECT g.tgname, g.tgrelid::regclass AS relation INTO culprit
        FROM tally.derived_view d
        JOIN pg_trigger g ON g.tgrelid = tally.relation_of(d) AND NOT g.tgisinternal
        JOIN pg_proc p ON p.oid = g.tgfoid
        WHERE is_fault_of_key.view_id IN (d.id, d.root_id)
          AND (strpos(context, ' ' || quote_ident(p.proname) || '()') > 0 OR strpos(context, '.' || quote_ident(p.proname) || '()') > 0
            OR strpos(context, '"' || p.proname || '"') > 0) LIMIT 1;
        IF FOUND THEN
            PERFORM tally.fail('TL025', format('Trigger "%s" on %s failed: %s (SQLSTATE %s).', culprit.tgname, culprit.relation, rtrim(message, '.'), state));
        END IF;
    END IF;
    IF left(state, 2) = '23' THEN
        SELECT c.conname, c.conrelid::regclass AS relation INTO culprit
        FROM tally.derived_view d JOIN pg_constraint c ON c.conrelid = tally.relation_of(d) AND c.contype <> 'n'
        WHERE is_fault_of_key.view_id IN (d.id, d.root_id) AND strpos(message, format('"%s"', c.conname)) > 0 LIMIT 1;
        IF FOUND THEN
            PERFORM tally.fail('TL025', format('Constraint "%s" on %s refuses what a merge stores: %s (SQLSTATE %s).', culprit.conname, culprit.relation, rtrim(message, '.'), state),
                'Drop the constraint: a derived table has to take what its definition returns. The merge is tried again by itself.');
        END IF;
        SELECT a.attname, a.attrelid::regclass AS relation INTO culprit
        FROM tally.derived_view d JOIN pg_class r ON r.oid = tally.relation_of(d) JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnotnull AND a.attnum > 0
        WHERE is_fault_of_key.view_id IN (d.id, d.root_id) AND is_fault_of_key.state = '23502' AND strpos(message, format('column "%s" of relation "%s"', a.attname, r.relname)) > 0 LIMIT 1;
        IF FOUND THEN
            PERFORM tally.fail('TL025', format('Column "%s" of %s refuses NULL, which a merge has to store there.', culprit.attname, culprit.relation),
                format('ALTER TABLE %s ALTER %I DROP NOT NULL: a derived table has to take what its definition returns. The merge is tried again by itself.', culprit.relation, culprit.attname));
        END IF;
    END IF;
    RETURN tally.is_fault_of_key(state);
END
$$;

-- tally.has_quarantined: whether any key of a projection is quarantined. tally.has_due: whether one of them has to be tried again now.
CREATE OR REPLACE FUNCTION tally.has_quarantined(view_id integer)
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM tally.quarantine q WHERE q.view_id = has_quarantined.view_id)
$$;
CREATE OR REPLACE FUNCTION tally.has_due(view_id integer)
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM tally.quarantine q WHERE q.view_id = has_due.view_id AND q.retry_at <= clock_timestamp())
$$;

-- tally.told_of_key: the error that is stored for a quarantined key. The engine words it itself where PostgreSQL's text is about internals.
--   Parameters hint: of the error. INSERT … ON CONFLICT gives one if two rows of the same identity come in one statement
--              index: the index for which a value is too long
CREATE OR REPLACE FUNCTION tally.told_of_key(view_id integer, INOUT state text, INOUT error text, hint text, index text)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF state = '21000' AND hint <> '' THEN
        state := 'TL019';
        error := tally.told_twice(tally.view_by_id(view_id));
    ELSIF state = '54000' AND (index <> '' OR error ~ 'index row') THEN
        error := format('A value is too long for an entry of %s, which takes 2704 bytes. Key it, or group it, by a digest: md5(value).',
            coalesce('index ' || quote_ident(nullif(index, '')), 'the index'));
    END IF;
END
$$;

-- tally.refuse_twice: raise TL019: a definition returns several rows where the identity allows one.
CREATE OR REPLACE FUNCTION tally.refuse_twice(view_id integer)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tally.fail('TL019', tally.told_twice(tally.view_by_id(view_id)));
END
$$;
CREATE OR REPLACE FUNCTION tally.told_twice(v tally.derived_view)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format('%s returns more than one row for the same (%s).', v.definition, tally.column_list(v.identity))
$$;

-- tally.refuse_unwritten: raise TL025, because a merge updated stored rows and some of them did not change.
CREATE OR REPLACE FUNCTION tally.refuse_unwritten(view_id integer)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    stored text := tally.part(tally.view_by_id(view_id));
BEGIN
    PERFORM tally.fail('TL025', format('A merge could not write every row of %1$s: a trigger on %1$s left one out, or another session changed one meanwhile.', stored),
        format('Let no trigger on %1$s return NULL before an UPDATE, and let nobody but merges write it. The merge is tried again by itself.', stored));
END
$$;

-- tally.record_merge: store what a merge did, and up to which transaction ID the projection is merged.
--   Writes    tally.merge_state, tally.derived_view (the first fill is over)
CREATE OR REPLACE FUNCTION tally.record_merge(view_id integer, result tally.merge_result, through xid8)
RETURNS void LANGUAGE sql AS $$
    UPDATE tally.merge_state m
    SET merged_through = through,
        system_identifier = (SELECT c.system_identifier FROM pg_control_system() c),
        last_merge_at = clock_timestamp(),
        keys_merged = m.keys_merged + coalesce(result.keys, 0),
        rows_changed = m.rows_changed + coalesce(result.changed, 0),
        error = NULL, error_sqlstate = NULL, failures = 0, retry_at = NULL
    WHERE m.view_id = record_merge.view_id;
    UPDATE tally.derived_view v SET state = 'active'
    WHERE v.id = record_merge.view_id AND v.state = 'filling' AND NOT result.more
$$;

-- tally.record_sweep: store how far a sweep has come.
--   Writes    tally.merge_state
CREATE OR REPLACE FUNCTION tally.record_sweep(view_id integer, keys bigint, from_start boolean, to_end boolean)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF to_end THEN
        UPDATE tally.merge_state m SET swept = NULL, to_sweep = NULL WHERE m.view_id = record_sweep.view_id AND m.swept IS NOT NULL;
    ELSE
        UPDATE tally.merge_state m SET swept = CASE WHEN from_start THEN 0 ELSE coalesce(m.swept, 0) END + keys,
            to_sweep = CASE WHEN from_start THEN tally.estimate_keys(tally.view_by_id(m.view_id)) ELSE m.to_sweep END
        WHERE m.view_id = record_sweep.view_id;
    END IF;
END
$$;

-- tally.estimate_keys: roughly how many keys a sweep visits, from the planner's statistics.
CREATE OR REPLACE FUNCTION tally.estimate_keys(v tally.derived_view)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE format('EXPLAIN (FORMAT json) SELECT FROM %s', coalesce((SELECT g.relation FROM tally.guides(v) g LIMIT 1), v.definition)) INTO plan;
    RETURN (plan -> 0 -> 'Plan' ->> 'Plan Rows')::bigint;
END
$$;
