-- control.tokens: the named tokens that are valid, or were, in the order of their names, a page at a time.
--   Parameters after: the last name of the previous page, NULL for the first page; most: rows of a page, NULL for all
--   Returns    name, role, when and by whom it was made, when it expires, and whether it has; no token and no hash
--   Reads      control.token
--   Used by    the API
CREATE OR REPLACE FUNCTION control.tokens(after text DEFAULT NULL, most int DEFAULT NULL)
RETURNS TABLE (name text, role text, made_at timestamptz, made_by text, expires_at timestamptz, expired boolean)
LANGUAGE sql STABLE AS $$
    SELECT t.name, t.role, t.made_at, t.made_by, t.expires_at, coalesce(t.expires_at <= clock_timestamp(), false) FROM control.token t
    WHERE t.name COLLATE "C" > coalesce($1, '') COLLATE "C" ORDER BY t.name COLLATE "C" LIMIT $2
$$;
COMMENT ON FUNCTION control.tokens(text, int) IS 'the named tokens, without what they are';

-- control.valid_tokens: what an instance has to know to recognise a named token.
--   Returns    name, role and SHA-256 of each that has not expired, and in how many seconds it does, NULL for never
--   Reads      control.token
--   Used by    the API, which keeps it for a second
CREATE OR REPLACE FUNCTION control.valid_tokens()
RETURNS TABLE (name text, role text, hash bytea, seconds float8)
LANGUAGE sql STABLE AS $$
    SELECT t.name, t.role, t.hash, extract(epoch FROM t.expires_at - clock_timestamp())::float8 FROM control.token t
    WHERE t.expires_at IS NULL OR t.expires_at > clock_timestamp()
$$;
COMMENT ON FUNCTION control.valid_tokens() IS 'name, role and hash of the tokens that have not expired';
