-- control.begin_act: note who is about to do what; control.finish_act adds what became of it.
--   Parameters as the columns of control.audit
--   Returns    the row's id
--   Writes     control.audit
--   Used by    the API, before it does anything
CREATE OR REPLACE FUNCTION control.begin_act(who text, role text, address text, method text, path text, target text)
RETURNS bigint LANGUAGE sql AS $$
    INSERT INTO control.audit (who, role, address, method, path, target)
    VALUES ($1, $2, left($3, 100), left($4, 20), left($5, 1000), left($6, 1000)) RETURNING id
$$;
COMMENT ON FUNCTION control.begin_act(text, text, text, text, text, text) IS 'note who is about to do what over the API';

-- control.finish_act: note what became of it.
--   Parameters act: as of control.begin_act; status: of the answer; target: NULL to keep that of control.begin_act; runs: those requested or cancelled
--   Writes     control.audit
CREATE OR REPLACE FUNCTION control.finish_act(act bigint, status int, target text, runs bigint[])
RETURNS void LANGUAGE sql AS $$
    UPDATE control.audit a SET status = $2, target = coalesce(left($3, 1000), a.target), runs = $4 WHERE a.id = $1
$$;
COMMENT ON FUNCTION control.finish_act(bigint, int, text, bigint[]) IS 'note what became of an act';
