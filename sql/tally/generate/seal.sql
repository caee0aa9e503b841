-- tally.seal: revoke the rights of PUBLIC on a generated function, and comment what the function is for.
--   Parameters signature: name with argument types
CREATE OR REPLACE FUNCTION tally.seal(signature text, serves text)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', signature);
    EXECUTE format('COMMENT ON FUNCTION %s IS %L', signature, serves);
END
$$;
