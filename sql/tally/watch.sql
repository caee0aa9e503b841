-- tally.watch: say which columns of a table tell what changed in a projection.
--   Parameters projection, source; columns: of the source, their old and new values are logged by every write
--              expand: a query over the relation "changed" (those columns) that returns keys; null: they are the key
--   Writes     tally.source; columns for the logged values in the delta table; the function that runs expand
--   Raises     TL004, TL005, TL006, TL010, TL016, TL018
--   Called by  the owner of the schema, before tally.activate
CREATE OR REPLACE FUNCTION tally.watch(projection text, source regclass, columns text[], expand text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v   tally.derived_view := tally.lookup(projection);
    n   smallint;
    col name;
BEGIN
    PERFORM tally.require_declaring(v);
    IF (SELECT relkind FROM pg_class WHERE oid = source) NOT IN ('r', 'p') THEN
        PERFORM tally.fail('TL016', format('%s is not a table, so triggers cannot watch it.', source));
    END IF;
    PERFORM tally.require_columns(source, columns);
    IF expand IS NULL AND cardinality(columns) <> cardinality(v.key) THEN
        PERFORM tally.fail('TL010', format('%s of %s columns cannot be the key of %s, which has %s; give expand.',
            columns, source, projection, cardinality(v.key)));
    END IF;
    IF EXISTS (SELECT FROM tally.source s WHERE s.projection_id = v.id AND s.relation = source) THEN
        PERFORM tally.fail('TL018', format('%s has %s among its sources already; one expand may return the keys of all its columns.', tally.part(v), source));
    END IF;
    SELECT coalesce(max(ordinal), 0) + 1 INTO n FROM tally.source s WHERE s.projection_id = v.id;
    INSERT INTO tally.source (projection_id, ordinal, relation, columns, expand)
    VALUES (v.id, n, source, columns, expand);
    IF expand IS NULL THEN
        RETURN;
    END IF;
    FOREACH col IN ARRAY columns LOOP
        EXECUTE format('ALTER TABLE %s ADD COLUMN %I %s',
            tally.part(v, '_delta'), tally.logged_column(n, col), tally.type_of(source, col));
    END LOOP;
    PERFORM tally.generate_expand(v, n);
END
$$;
COMMENT ON FUNCTION tally.watch(text, regclass, text[], text) IS
    'say which columns of a source tell what changed, and how they lead to keys';

-- tally.logged_column: where the delta table keeps a watched column of an expanding source.
CREATE OR REPLACE FUNCTION tally.logged_column(ordinal integer, col name)
RETURNS name LANGUAGE sql IMMUTABLE AS $$
    SELECT left('s' || ordinal || '_' || col, 63)::name
$$;

-- tally.require_declaring: raise unless v is a projection that is not active yet.
CREATE OR REPLACE FUNCTION tally.require_declaring(v tally.derived_view)
RETURNS void LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF v.kind <> 'projection' THEN
        PERFORM tally.fail('TL004', format('%s is a %s; only a projection watches sources.', tally.part(v), v.kind));
    END IF;
    IF v.state <> 'defined' THEN
        PERFORM tally.fail('TL005', format('%s is %s; its sources are declared before tally.activate.', tally.part(v), v.state));
    END IF;
END
$$;

-- tally.assume_static: vouch that a table which a projection reads never changes.
--   Writes     tally.source
CREATE OR REPLACE FUNCTION tally.assume_static(projection text, source regclass)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v tally.derived_view := tally.lookup(projection);
BEGIN
    PERFORM tally.require_declaring(v);
    INSERT INTO tally.source (projection_id, ordinal, relation)
    SELECT v.id, coalesce(max(s.ordinal), 0) + 1, source FROM tally.source s WHERE s.projection_id = v.id;
END
$$;
COMMENT ON FUNCTION tally.assume_static(text, regclass) IS 'vouch that a table which a projection reads never changes';

-- tally.allow_function: let a definition call a volatile function, or a stable one of the user's.
--   Writes     tally.derived_view
CREATE OR REPLACE FUNCTION tally.allow_function(projection text, function regprocedure)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v tally.derived_view := tally.lookup(projection);
BEGIN
    UPDATE tally.derived_view d SET allowed = allowed || function WHERE d.id = v.id;
END
$$;
COMMENT ON FUNCTION tally.allow_function(text, regprocedure) IS 'vouch that a function called by a definition hides no table and no clock';
