-- control.add_token: store a named token.
--   Parameters name; role: reader, operator or owner; hash: SHA-256 of the token; made_by: the name of the token that asked for it;
--              expires_at: NULL for never
--   Returns    its row of control.tokens, as JSON
--   Writes     control.token. One of the same name that has expired is replaced
--   Raises     22023 invalid name, role or time; 23505 there is one of this name
CREATE OR REPLACE FUNCTION control.add_token(name text, role text, hash bytea, made_by text, expires_at timestamptz DEFAULT NULL)
RETURNS jsonb LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    IF $1 IS NULL OR $1 !~ '^[a-z0-9][a-z0-9._-]{0,62}$' THEN
        RAISE EXCEPTION 'A token cannot have the name %.', coalesce(quote_literal($1), 'NULL')
            USING ERRCODE = '22023', HINT = 'Use up to 63 lower-case letters, digits, dots, dashes and underscores, the first a letter or a digit.';
    ELSIF $2 IS NULL OR $2 NOT IN ('reader', 'operator', 'owner') THEN
        RAISE EXCEPTION 'There is no role %.', coalesce(quote_literal($2), 'NULL') USING ERRCODE = '22023', HINT = 'Use reader, operator or owner.';
    ELSIF $5 IS NOT NULL AND NOT (isfinite($5) AND $5 > clock_timestamp()) THEN
        RAISE EXCEPTION 'A token cannot expire at %.', $5 USING ERRCODE = '22023', HINT = 'Give a time to come, or none for a token that does not expire.';
    END IF;
    DELETE FROM control.token t WHERE t.name = $1 AND t.expires_at <= clock_timestamp();
    INSERT INTO control.token (name, role, hash, made_by, expires_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'There is a token % already.', $1 USING ERRCODE = '23505', HINT = 'Choose another name, or revoke that one first.';
    END IF;
    RETURN (SELECT to_jsonb(t) FROM control.tokens() t WHERE t.name = $1);
END
$$;
COMMENT ON FUNCTION control.add_token(text, text, bytea, text, timestamptz) IS 'store a named token';

-- control.revoke_token: end a named token.
--   Returns    whether there was one
--   Writes     control.token
CREATE OR REPLACE FUNCTION control.revoke_token(name text)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM control.token t WHERE t.name = $1;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION control.revoke_token(text) IS 'end a named token';
