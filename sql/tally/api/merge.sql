-- tally.merge: one bounded step that brings a projection and every rollup above it up to date.
--   Parameters name: any derived view; max_keys: limits the delta rows taken and the keys evaluated
--   Returns    one row: what it did. outcome: 'busy', at once, if another merge of the projection is running;
--              'paused'; 'waiting' (backing off); 'nothing', after one indexed look-up; 'failed', with the error stored
--   Reads      the delta table, the sources; Writes the projection, the rollups, tally.merge_state, tally.quarantine
--   Locks      the projection's advisory lock, never waited for; row locks on tables that only merges write
--   Used by    the scheduler, tally.refresh
CREATE OR REPLACE FUNCTION tally.merge(name text, max_keys integer DEFAULT 50000)
RETURNS tally.merge_result LANGUAGE plpgsql AS $$
BEGIN
    RETURN tally.merge_by_name(tally.called(name, pg_catalog.current_schemas(true)), max_keys);
END
$$;
COMMENT ON FUNCTION tally.merge(text, integer) IS 'one bounded step that brings a projection and the rollups above it up to date';

-- tally.merge_by_name: the same, whatever the caller's search_path.
CREATE OR REPLACE FUNCTION tally.merge_by_name(name text, max_keys integer)
RETURNS tally.merge_result LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres' SET extra_float_digits = 1 SET bytea_output = 'hex' SET array_nulls = on SET quote_all_identifiers = off AS $$
DECLARE
    v      tally.derived_view := tally.lookup_root(name);
    result tally.merge_result;
BEGIN
    PERFORM tally.require_active(v);
    PERFORM tally.require_firing(v);
    IF max_keys IS NULL OR max_keys < 1 THEN
        PERFORM tally.fail('TL018', format('max_keys is %s; it must be at least 1.', coalesce(max_keys::text, 'NULL')));
    END IF;
    result.outcome := CASE
        WHEN v.state = 'paused' THEN 'paused'
        WHEN (SELECT m.retry_at > clock_timestamp() FROM tally.merge_state m WHERE m.view_id = v.id) AND (tally.replacement_of(v.id)).id IS NULL THEN 'waiting'
        WHEN NOT pg_try_advisory_xact_lock(tally.lock_class(), v.id) THEN 'busy' END;
    IF result.outcome IS NULL AND v.id <> (tally.lookup_root(name)).id THEN
        result.outcome := 'busy';  -- a redefinition replaced it just before this session got the lock
    END IF;
    IF result.outcome IS NOT NULL THEN
        result.consumed := 0; result.keys := 0; result.changed := 0; result.quarantined := 0; result.more := false;
        RETURN result;
    END IF;
    IF v.kind = 'projection' THEN  -- in a transaction of its own, so that rows of the application are locked only briefly
        result.changed := tally.write_backs(v.id);
        IF result.changed > 0 THEN
            RETURN ROW('merged', 0, 0, result.changed, 0, true, NULL)::tally.merge_result;
        END IF;
    END IF;
    IF v.target_lag_ms IS NULL THEN
        RETURN tally.merge_and_advance(v, max_keys);
    END IF;
    RETURN tally.merge_for_target(v, least(max_keys, (tally.merge_plan(v)).max_keys));
END
$$;

-- tally.merge_for_target: a merge of a view with a target lag. The derived views that it reads are merged first. Its cost and the lag at its end are stored.
CREATE OR REPLACE FUNCTION tally.merge_for_target(v tally.derived_view, max_keys integer)
RETURNS tally.merge_result LANGUAGE plpgsql AS $$
DECLARE
    result  tally.merge_result;
    began   timestamptz := clock_timestamp();
    oldest  timestamptz;
BEGIN
    oldest := least(tally.oldest_pending(v), tally.merge_below(v, max_keys));
    result := tally.merge_and_advance(v, max_keys);
    IF result.outcome = 'merged' THEN
        PERFORM tally.note_lag(v, oldest, result.keys, extract(epoch FROM clock_timestamp() - began)::float8 * 1000);
    END IF;
    RETURN result;
END
$$;

-- tally.require_active: raise unless a derived view has been activated.
CREATE OR REPLACE FUNCTION tally.require_active(v tally.derived_view)
RETURNS void LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF v.state = 'defined' THEN
        PERFORM tally.fail('TL005', format('%s is declared, but not active.', tally.part(v)));
    END IF;
END
$$;

-- tally.require_firing: raise TL005 in a session whose writes fire no triggers. Views that watch the derived tables would not see what a
-- merge writes there.
CREATE OR REPLACE FUNCTION tally.require_firing(v tally.derived_view)
RETURNS void LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF current_setting('session_replication_role') = 'replica' THEN
        PERFORM tally.fail('TL005', format('session_replication_role is replica, so what a merge of %s writes would fire no trigger.', tally.part(v)),
            'RESET session_replication_role, or merge in another session.');
    END IF;
END
$$;

-- tally.merge_and_advance: a merge, and, if the projection is being redefined, a step of the redefinition.
CREATE OR REPLACE FUNCTION tally.merge_and_advance(v tally.derived_view, max_keys integer)
RETURNS tally.merge_result LANGUAGE plpgsql AS $$
DECLARE
    result tally.merge_result := tally.run_merge(v, max_keys);
    next   tally.derived_view := tally.replacement_of(v.id);
BEGIN
    IF next.id IS NOT NULL THEN
        result := tally.advance(v, next, max_keys, result);
    END IF;
    RETURN result;
END
$$;

-- tally.record_failure: store why a view could not be merged. The pause before the next attempt grows: to 4 seconds if the merge
-- waits for a lock, otherwise to 5 minutes.
--   Writes     tally.merge_state
CREATE OR REPLACE FUNCTION tally.record_failure(view_id integer, state text, message text)
RETURNS void LANGUAGE sql AS $$
    UPDATE tally.merge_state m SET error = message, error_sqlstate = state, failures = m.failures + 1,
        retry_at = clock_timestamp() + least(CASE state WHEN 'TL015' THEN interval '4 seconds' ELSE interval '5 minutes' END, interval '1 second' * 2 ^ least(m.failures, 9))
    WHERE m.view_id = record_failure.view_id
$$;

-- tally.run_merge: a merge, with the projection's advisory lock held. An error of the definition as a whole is stored, and the next
-- attempt waits, longer each time. An error that is not about the view (a lock, a cancelled statement, the server) is raised.
CREATE OR REPLACE FUNCTION tally.run_merge(v tally.derived_view, max_keys integer)
RETURNS tally.merge_result LANGUAGE plpgsql AS $$
DECLARE
    result  tally.merge_result;
    state   text;
    message text;
    context text;
BEGIN
    PERFORM tally.require_usage(v);
    IF tally.follow_definition(v) OR tally.follow_unlogged(v) OR tally.arm_triggers(v) OR tally.follow_partitions(v) THEN
        RETURN ROW('merged', 0, 0, 0, 0, true, NULL)::tally.merge_result;
    END IF;
    IF v.kind = 'snapshot' THEN
        EXECUTE format('SELECT * FROM %s()', tally.declarers(v, '_refresh')) INTO result;
    ELSE
        v := tally.view_by_id(v.id);
        EXECUTE format('SELECT * FROM %s($1)', tally.declarers(v, '_consume')) INTO result USING max_keys;
        result.consumed := coalesce(result.consumed, 0); result.keys := coalesce(result.keys, 0);
        result.changed := coalesce(result.changed, 0); result.quarantined := coalesce(result.quarantined, 0);
    END IF;
    IF result.outcome = 'nothing' THEN  -- what stopped merges is gone, although nothing is written
        UPDATE tally.merge_state m SET error = NULL, error_sqlstate = NULL, failures = 0, retry_at = NULL WHERE m.view_id = v.id AND m.error IS NOT NULL;
    END IF;
    RETURN result;
EXCEPTION
    WHEN operator_intervention OR insufficient_resources OR transaction_rollback OR object_not_in_prerequisite_state
      OR system_error OR connection_exception OR internal_error OR program_limit_exceeded THEN
        RAISE;
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, context = PG_EXCEPTION_CONTEXT;
        IF state IN ('42846', '42703') AND v.kind = 'projection' AND tally.columns_of(v.definition) <> tally.columns_of(tally.relation_of(v)) THEN
            state := 'TL023';
            message := format('%s has other columns (%s) than its definition, which has (%s): drop what was added to it, or redefine it.', tally.part(v),
                tally.column_list(tally.columns_of(tally.relation_of(v))), tally.column_list(tally.columns_of(v.definition)));
        ELSIF tally.lost_under(v.id) IS NOT NULL THEN
            state := 'TL022';
            message := tally.lost_under(v.id);
        ELSIF state = '42P10' AND v.kind = 'projection' THEN  -- of ON CONFLICT
            state := 'TL023';
            message := format('%s has lost its unique index: CREATE UNIQUE INDEX ON %1$s (%s) NULLS NOT DISTINCT.', tally.part(v), tally.column_list(v.identity));
        ELSIF state = '42883' AND EXISTS (SELECT FROM tally.derived_view d WHERE v.id IN (d.id, d.root_id) AND strpos(message, format('%s.%s_', d.schema_name, d.relation_name)) > 0) THEN
            state := 'TL023';
            message := format('%s: it was made for %s; SELECT tally.heal(%L) makes it anew.', message, tally.part(v), tally.part(v));
        ELSIF tally.broken_function(v.id, state, context) IS NOT NULL THEN
            message := format('%s, which %s calls, cannot run any more: %s. Replace the function, or let it name schemas, because merges run with search_path pg_catalog; the merge is tried again by itself.', tally.broken_function(v.id, state, context), v.definition, message);
            state := 'TL023';
        END IF;
        PERFORM tally.record_failure(v.id, state, message);
        PERFORM tally.doubt_all(v);
        RETURN ROW('failed', 0, 0, 0, 0, false, message)::tally.merge_result;
END
$$;

-- tally.broken_function: the function below a definition that raised an error about something that is gone, or has another form (SQLSTATE class 42); NULL:
-- none did.
--   Parameters context: the call stack, as in PG_EXCEPTION_CONTEXT. The function at its top comes first
CREATE OR REPLACE FUNCTION tally.broken_function(view_id integer, state text, context text)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT p.oid::regprocedure::text
    FROM tally.fingerprint f JOIN pg_proc p ON p.oid = ANY (f.functions)
    CROSS JOIN LATERAL regexp_instr(context, format('(function "?|\.)%s("|\()', regexp_replace(p.proname::text COLLATE "default", '([^[:alnum:]_])', '\\\1', 'g'))) AS place(n)
    WHERE f.view_id = broken_function.view_id AND state ~ '^42' AND state <> '42501' AND place.n > 0 ORDER BY place.n LIMIT 1
$$;

-- tally.doubt_all: if a definition has changed in a way that merges cannot follow, enqueue every key. Then _live reads the definition,
-- and is never out of date without a sign.
--   Writes     the delta table, unless every key is pending already; if its owner may not write it, the fingerprint, so that every key is
--              swept as soon as he may
CREATE OR REPLACE FUNCTION tally.doubt_all(v tally.derived_view)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    delta regclass := tally.relation_of(v, '_delta');
    waits boolean;
BEGIN
    IF v.kind <> 'projection' OR delta IS NULL OR pg_relation_size(delta) IS NULL OR tally.is_renamed(v.id)
       OR (SELECT f.glance = tally.glance(f) FROM tally.fingerprint f WHERE f.view_id = v.id) IS NOT FALSE THEN
        RETURN;
    END IF;
    EXECUTE format('SELECT EXISTS (SELECT FROM %s d WHERE d.tally_source = %s AND %s)', delta, tally.delta_code('sweep'), tally.sql_some_null(v.key, 'd.')) INTO waits;
    IF NOT waits THEN
        PERFORM tally.enqueue_sweep(v);
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    UPDATE tally.fingerprint f SET meaning = '', glance = '' WHERE f.view_id = v.id;
END
$$;
