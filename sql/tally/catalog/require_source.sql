-- tally.require_source: raise TL016 unless triggers can see every write to a table.
CREATE OR REPLACE FUNCTION tally.require_source(source regclass)
RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE
    trouble record;
BEGIN
    IF source IS NULL THEN
        PERFORM tally.fail('TL016', 'No table is named, so there is nothing to watch.', 'Name the table: tally.watch(projection, source).');
    END IF;
    SELECT * INTO trouble FROM tally.source_troubles(source) LIMIT 1;
    IF FOUND THEN
        PERFORM tally.fail('TL016', format('%s %s.', source, trouble.problem), trouble.remedy);
    END IF;
END
$$;

-- tally.foreign_children: foreign tables that are partitions or children of a table.
CREATE OR REPLACE FUNCTION tally.foreign_children(source regclass)
RETURNS SETOF regclass LANGUAGE sql STABLE AS $$
    SELECT i.inhrelid::regclass FROM tally.table_and_children(source) AS t(member) JOIN pg_inherits i ON i.inhparent = t.member
    JOIN pg_class c ON c.oid = i.inhrelid AND c.relkind = 'f'
$$;

-- tally.source_troubles: why triggers cannot see every write to a table.
--   Returns    problem: the part of a sentence after the table's name; remedy: a sentence
--   Used by    tally.watch, tally.create_snapshot; tally.health, for changes made to the table later
CREATE OR REPLACE FUNCTION tally.source_troubles(source regclass)
RETURNS TABLE (problem text, remedy text) LANGUAGE sql STABLE ROWS 2 SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT 'is not a table, so triggers cannot watch it', 'Watch an ordinary or a partitioned table; vouch for anything else with tally.assume_static.'
    FROM pg_class c WHERE c.oid = source AND c.relkind NOT IN ('r', 'p')
    UNION ALL
    SELECT format('is a partition of %s: writes through that fire no trigger of it', i.inhparent::regclass),
           format('Let the definition read %s, with a WHERE that leaves the other partitions out, and watch that.', i.inhparent::regclass)
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhrelid = source AND c.relispartition
    UNION ALL
    SELECT format('inherits from %s: writes through that fire no trigger of it', i.inhparent::regclass),
           format('Let the definition read %s and watch that; or take the inheritance away: ALTER TABLE %s NO INHERIT %1$s.', i.inhparent::regclass, source)
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhrelid = source AND NOT c.relispartition
    UNION ALL
    SELECT CASE WHEN t.member = source THEN 'is unlogged' ELSE format('has the unlogged part %s', t.member) END || ': after a crash it is empty, and no trigger fires for that',
           format('ALTER TABLE %s SET LOGGED.', t.member)
    FROM tally.table_and_children(source) AS t(member) JOIN pg_class c ON c.oid = t.member WHERE c.relpersistence = 'u'
    UNION ALL
    SELECT 'is temporary: other sessions see another table, or none', 'Watch a permanent table.' FROM pg_class c WHERE c.oid = source AND c.relpersistence = 't'
    UNION ALL
    SELECT format('has the foreign table %s below it, whose rows change on another server', f.relation),
           format('Detach it, or keep a view over a local copy of %s.', f.relation)
    FROM tally.foreign_children(source) f(relation)
$$;

-- tally.require_seen: raise TL016 for a watched column whose values triggers cannot see: a virtual generated column.
CREATE OR REPLACE FUNCTION tally.require_seen(source regclass, columns name[])
RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    a record;
BEGIN
    SELECT x.attname, pg_get_expr(e.adbin, e.adrelid) AS expression,
           ARRAY(SELECT b.attname FROM pg_depend d JOIN pg_attribute b ON b.attrelid = source AND b.attnum = d.refobjsubid
                 WHERE d.classid = 'pg_attrdef'::regclass AND d.objid = e.oid AND d.refobjid = source AND b.attnum <> x.attnum ORDER BY b.attnum) AS behind
    INTO a FROM pg_attribute x JOIN pg_attrdef e ON e.adrelid = x.attrelid AND e.adnum = x.attnum
    WHERE x.attrelid = source AND x.attname = ANY (columns) AND x.attgenerated = 'v' LIMIT 1;
    IF FOUND THEN
        PERFORM tally.fail('TL016', format('Column "%s" of %s is a virtual generated one, of which triggers see no value.', a.attname, source),
            format('Watch what it is computed from: columns => %L, expand => %L, with what else the expand needs.', a.behind::text, format('SELECT %s FROM changed', a.expression)));
    END IF;
END
$$;
