-- tally.resume: merge a paused projection again. A pause after errors ends too.
--   Writes    tally.derived_view, tally.merge_state
CREATE OR REPLACE FUNCTION tally.resume(name text)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tally.resume_by_name(tally.called(name, pg_catalog.current_schemas(true)));
END
$$;
COMMENT ON FUNCTION tally.resume(text) IS 'merge a paused derived view again';

-- tally.resume_by_name: the same, whatever the caller's search_path.
CREATE OR REPLACE FUNCTION tally.resume_by_name(name text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    v tally.derived_view := tally.lookup_root(name);
BEGIN
    PERFORM tally.require_active(v);
    -- What is pending may be a sweep; without anything pending no merge would say that it is over.
    UPDATE tally.derived_view d SET state = CASE (SELECT b.pending FROM tally.backlog_of(d.id) b) WHEN 0 THEN 'active' ELSE 'filling' END WHERE d.id = v.id AND d.state = 'paused';
    IF v.id <> (tally.lookup_root(name)).id THEN
        PERFORM tally.resume(name);  -- a redefinition has just replaced it
    END IF;
    UPDATE tally.merge_state m SET retry_at = NULL WHERE m.view_id = v.id AND m.retry_at IS NOT NULL;
END
$$;
