-- tally.scan_from: the lower bound for scans of a projection's delta table. Older rows are merged and dead. As long as a long-running
-- reader keeps vacuum from removing them, each scan without the bound would read them again.
--   Returns   merged_through; 0 in another cluster than the one that stored it, because transaction IDs do not survive a dump
CREATE OR REPLACE FUNCTION tally.scan_from(view_id integer)
RETURNS xid8 LANGUAGE plpgsql STABLE AS $$  -- its plan is kept, as that of tally.relation_of
BEGIN
    RETURN (SELECT CASE WHEN m.system_identifier = (SELECT c.system_identifier FROM pg_control_system() c)
                        THEN m.merged_through ELSE '0'::xid8 END
            FROM tally.merge_state m WHERE m.view_id = scan_from.view_id);
END
$$;
