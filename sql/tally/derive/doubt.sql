-- tally.doubt: why a watch that was declared by hand may miss keys that the derived one reaches; NULL if nothing is known against it.
--   Notes     It looks for columns that are not watched, and for columns on the derived way that the query of expand does not read. A query
--             is not judged if it reads the stored rows or the view, or does not read the changed rows at all.
CREATE OR REPLACE FUNCTION tally.doubt(v tally.derived_view, s tally.source, columns name[], expand text, reach text)
RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    body    text;
    unread  text;
    unwatched text := (SELECT string_agg(format('%s.%I', s.relation, c), ', ') FROM unnest(columns) c WHERE c <> ALL (s.columns));
    f       oid;
BEGIN
    expand := tally.without_echoes(expand);
    IF reach = 'every key' AND s.expand IS NULL THEN
        RETURN format('a change of %s may matter to every key, but only its own is named', s.relation);
    ELSIF reach = 'every key' THEN
        RETURN NULL;
    ELSIF s.expand IS NULL THEN
        RETURN CASE WHEN expand IS NULL AND columns <> s.columns THEN format('the key is in %s, but {%s} is watched', (SELECT string_agg(format('%s.%I', s.relation, c), ', ') FROM unnest(columns) c), array_to_string(s.columns, ','))
                    WHEN expand IS NOT NULL AND (unwatched IS NOT NULL OR expand ~ '\mJOIN\M') THEN format('{%s} alone does not name every key: %s', array_to_string(s.columns, ','), regexp_replace(expand, '\s+', ' ', 'g')) END;
    END IF;
    SELECT p.oid, pg_get_function_sqlbody(p.oid) INTO f, body FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname = v.schema_name AND p.proname = v.relation_name || '_expand_' || s.ordinal;
    IF body ~ '\m(LIMIT|FETCH FIRST)\M' THEN
        RETURN 'its LIMIT leaves keys out';
    ELSIF EXISTS (SELECT FROM pg_depend d JOIN pg_proc p ON p.oid = d.refobjid WHERE d.objid = f AND d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_proc'::regclass AND p.provolatile = 'v')
        OR body ~ '\mrandom\(' THEN
        RETURN 'what it returns depends on more than the rows';
    ELSIF body !~ '\mFROM\s+\(*changed\M|JOIN\s+changed\M|,\s*changed\M' OR EXISTS (SELECT FROM pg_depend d WHERE d.objid = f AND d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_class'::regclass
            AND (d.refobjid = v.definition OR d.refobjid IN (SELECT tally.relation_of(x) FROM tally.derived_view x))) THEN
        RETURN NULL;   -- it returns every key, or the catalog is not enough to judge it
    ELSIF unwatched IS NOT NULL THEN
        RETURN format('%s is not watched, so what it was is not known', unwatched);
    ELSIF body ~ '\mWHERE false\M' AND expand !~ '\mWHERE false\M' THEN
        RETURN 'it returns nothing';
    END IF;
    unread := tally.not_read(v, f, columns, expand, s);
    RETURN CASE WHEN unread IS NOT NULL THEN format('it does not look at %s, which the way to the key goes through', unread) END;
END
$$;

-- tally.without_echoes: a derived expand without those ways that only lead from a column of a changed row to rows with an equal value. The
-- changed row names these keys itself.
CREATE OR REPLACE FUNCTION tally.without_echoes(expand text)
RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT string_agg(way, E'\nUNION ALL\n' ORDER BY i) FROM regexp_split_to_table(expand, E'\nUNION ALL\n') WITH ORDINALITY u(way, i)
    WHERE way !~ '^SELECT ([^\n]+)\.("(?:[^"]|"")+"|[\w$]+) FROM changed\nJOIN [^\n]+ ON (?:changed\.(?:"(?:[^"]|"")+"|[\w$]+) (?:=|IS NOT DISTINCT FROM) \1\.\2|\1\.\2 (?:=|IS NOT DISTINCT FROM) changed\.(?:"(?:[^"]|"")+"|[\w$]+))$'
$$;

-- tally.columns_named: the columns of tables that a derived expand reads, found in the text of each of its ways: JOIN table [AS alias],
-- alias.column. A column that is equal to one of the changed row's is left out: the changed row tells its value.
CREATE OR REPLACE FUNCTION tally.columns_named(expand text)
RETURNS TABLE (relation regclass, col name) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    WITH joined AS (
        SELECT way, m[1]::regclass AS relation, coalesce(m[2], quote_ident((parse_ident(m[1]))[cardinality(parse_ident(m[1]))])) AS alias
        FROM regexp_split_to_table(expand, E'\nUNION ALL\n') way
        CROSS JOIN LATERAL regexp_matches(way, '(?n)^JOIN ((?:"(?:[^"]|"")+"|[\w$]+)(?:\.(?:"(?:[^"]|"")+"|[\w$]+))?)(?: AS ((?:"(?:[^"]|"")+"|[\w$]+)))? ON', 'g') m),
    named AS (
        SELECT j.way, j.relation, a.attname, regexp_replace(j.alias || '.' || quote_ident(a.attname), '([.?*+^$[\](){}|\\])', '\\\1', 'g') || '(?![\w$])' AS pattern
        FROM joined j JOIN pg_attribute a ON a.attrelid = j.relation AND a.attnum > 0 AND NOT a.attisdropped
        WHERE strpos(j.way, j.alias || '.' || quote_ident(a.attname)) > 0)
    SELECT DISTINCT n.relation, n.attname FROM named n
    WHERE n.way ~ n.pattern AND n.way !~ ('\mchanged\.(?:"(?:[^"]|"")+"|[\w$]+) (?:=|IS NOT DISTINCT FROM) ' || n.pattern)
      AND n.way !~ ('(?<![\w$."])' || n.pattern || ' (?:=|IS NOT DISTINCT FROM) changed\.')
$$;

-- tally.not_read: the columns that a derived expand reads, but a function does not.
--   Notes     The source's watched columns are not counted: a function can read them from the changed rows.
CREATE OR REPLACE FUNCTION tally.not_read(v tally.derived_view, function oid, columns name[], expand text, s tally.source)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT string_agg(format('%s.%I', a.attrelid::regclass, a.attname), ', ' ORDER BY a.attrelid::regclass::text, a.attname)
    FROM tally.columns_named(expand) n JOIN pg_attribute a ON a.attrelid = n.relation AND a.attname = n.col
    WHERE NOT (n.relation = s.relation AND n.col = ANY (s.columns))
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = function AND d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum)
$$;

-- tally.note_wanted: store again the indexes that the derived ways need: columns were renamed, or tables have other OIDs in a restored dump.
--   Writes    tally.source
--   Used by   tally.follow_definition
CREATE OR REPLACE FUNCTION tally.note_wanted(v tally.derived_view)
RETURNS void LANGUAGE sql AS $$
    UPDATE tally.source x SET wanted = tally.wanted_indexes(d.ways, d.shape) FROM tally.derive(v.definition, v.key, tally.part(v)) d
    WHERE v.kind = 'projection' AND x.projection_id = v.id AND x.relation = d.source AND x.columns IS NOT NULL
$$;

-- tally.note_doubts: compare what was declared by hand with what is derived, and store the doubts, and the indexes that the derived ways need.
--   Writes    tally.source
--   Used by   tally.activate
CREATE OR REPLACE FUNCTION tally.note_doubts(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET quote_all_identifiers = off AS $$
DECLARE
    s tally.source;
    d record;
BEGIN
    IF NOT EXISTS (SELECT FROM tally.source x WHERE x.projection_id = v.id AND x.columns IS NOT NULL AND NOT x.derived) THEN
        RETURN;
    END IF;
    FOR d IN SELECT * FROM tally.derive(v.definition, v.key, tally.part(v), false) LOOP
        SELECT * INTO s FROM tally.source x WHERE x.projection_id = v.id AND x.relation = d.source AND x.columns IS NOT NULL AND NOT x.derived;
        CONTINUE WHEN NOT FOUND;
        UPDATE tally.source x SET doubt = tally.doubt(v, s, d.columns, d.expand, d.reach), wanted = tally.wanted_indexes(d.ways, d.shape)
        WHERE x.projection_id = v.id AND x.ordinal = s.ordinal;
    END LOOP;
END
$$;
