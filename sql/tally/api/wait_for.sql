-- tally.wait_for: return once the changes of a transaction are merged: read-your-writes without blocking a writer.
--   Parameters name: any derived view; token: of tally.token(), from the writing transaction; timeout
--   Raises     TL011 own transaction, TL012 timeout, TL013 in a fixed snapshot, TL018
--   Reads      the delta table, by its index; Locks none
--   Used by    readers
CREATE OR REPLACE FUNCTION tally.wait_for(name text, token xid8, timeout interval DEFAULT '10 seconds')
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tally.wait_for_by_name(tally.called(name, pg_catalog.current_schemas(true)), token, timeout);
END
$$;
COMMENT ON FUNCTION tally.wait_for(text, xid8, interval) IS 'return when the transaction of that token is merged; TL012 when the time is over';

-- tally.wait_for_by_name: the same, whatever the caller's search_path.
CREATE OR REPLACE FUNCTION tally.wait_for_by_name(name text, token xid8, timeout interval)
RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
    v        tally.derived_view := tally.lookup_root(name);
    deadline timestamptz := clock_timestamp() + timeout;
    pause    float8 := 0.002;
    waiting  boolean;
    lower_view text;
BEGIN
    PERFORM tally.require_active(v);
    PERFORM tally.require_present(v);
    IF v.kind = 'snapshot' THEN
        PERFORM tally.fail('TL004', format('%s is a snapshot, which is refreshed by its schedule; wait for a projection or a rollup.', tally.part(v)));
    END IF;
    IF token IS NULL OR timeout IS NULL THEN
        PERFORM tally.fail('TL018', format('tally.wait_for was called with the token %s and the timeout %s.', coalesce(token::text, 'NULL'), coalesce(timeout::text, 'NULL')));
    END IF;
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        PERFORM tally.fail('TL013', format('tally.wait_for was called in a %s transaction.', current_setting('transaction_isolation')));
    END IF;
    IF token = pg_current_xact_id_if_assigned() THEN
        PERFORM tally.fail('TL011', format('Token %s is of this very transaction, which cannot be merged before it commits.', token));
    END IF;
    FOR lower_view IN SELECT tally.part(d) FROM tally.source s JOIN tally.derived_view d ON tally.relation_of(d) = s.relation WHERE s.projection_id = v.id LOOP
        PERFORM tally.wait_for(lower_view, token, deadline - clock_timestamp());
        token := (pg_snapshot_xmax(pg_current_snapshot())::text::numeric - 1)::text::xid8;  -- now wait for what the lower merge wrote
    END LOOP;
    LOOP
        BEGIN
            EXECUTE format('SELECT NOT pg_visible_in_snapshot($1, pg_current_snapshot()) AND $1 >= pg_snapshot_xmin(pg_current_snapshot()) AND NOT $2 '
                        || 'OR EXISTS (SELECT FROM %1$s d WHERE d.tally_xid = $1) '
                        || 'OR EXISTS (SELECT FROM %1$s d WHERE d.tally_xid >= (SELECT tally.scan_from($3)) AND d.tally_xid <= $1 AND ($2 OR d.tally_upto >= $1))', tally.part(v, '_delta'))
                INTO waiting USING token, lower_view IS NOT NULL, v.id;
            IF waiting THEN  -- the subtransaction ends, and with it the lock on the delta table, which a swap needs
                RAISE SQLSTATE 'TL000';
            END IF;
        EXCEPTION WHEN SQLSTATE 'TL000' THEN
            v := tally.lookup_root(name);
        END;
        EXIT WHEN NOT waiting;
        IF clock_timestamp() >= deadline THEN
            PERFORM tally.fail('TL012', format('%s had not merged transaction %s after %s.', tally.part(v), token, timeout));
        END IF;
        PERFORM pg_sleep(least(pause, greatest(extract(epoch FROM deadline - clock_timestamp()), 0)));
        pause := least(pause * 1.5, 0.1);
    END LOOP;
END
$$;
