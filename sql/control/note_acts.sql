-- control.note_acts: note acts that are over, many in one call.
--   Parameters acts: an array of objects with at, who, role, address, method, path, target and status, as the columns of control.audit
--   Writes     control.audit
--   Used by    the API, for signing in and out, and for results that were sent
CREATE OR REPLACE FUNCTION control.note_acts(acts jsonb)
RETURNS void LANGUAGE sql AS $$
    INSERT INTO control.audit (at, who, role, address, method, path, target, status)
    SELECT a.at, a.who, a.role, left(a.address, 100), left(a.method, 20), left(a.path, 1000), left(a.target, 1000), a.status
    FROM jsonb_to_recordset($1) AS a(at timestamptz, who text, role text, address text, method text, path text, target text, status int)
$$;
COMMENT ON FUNCTION control.note_acts(jsonb) IS 'note acts that are over, many in one call';
