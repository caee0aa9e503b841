-- tally.views: the rows of tally.status, or only the row of one name.
--   Raises    TL001
--   Used by    the API
CREATE OR REPLACE FUNCTION tally.views(name text DEFAULT NULL)
RETURNS SETOF tally.status LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN QUERY SELECT * FROM tally.views_by_name(tally.called(name, pg_catalog.current_schemas(true)));
END
$$;
COMMENT ON FUNCTION tally.views(text) IS 'the rows of tally.status, or the one of a name';

-- tally.views_by_name: the same, whatever the caller's search_path.
CREATE OR REPLACE FUNCTION tally.views_by_name(name text)
RETURNS SETOF tally.status LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on SET quote_all_identifiers = off AS $$
DECLARE
    wanted text;
BEGIN
    IF name IS NULL THEN
        RETURN QUERY SELECT s.* FROM tally.status s ORDER BY s.name;
    ELSE
        wanted := tally.part(tally.lookup(name));
        RETURN QUERY SELECT s.* FROM tally.status s WHERE s.name = wanted;  -- asks about that one alone
    END IF;
END
$$;
