-- tally.watch_derived: watch a source as the definition tells.
--   Raises    TL018 (an expand without columns), TL016
--   Writes    as tally.watch; warns where each change costs every key
CREATE OR REPLACE FUNCTION tally.watch_derived(v tally.derived_view, source regclass, expand text)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    d record;
BEGIN
    IF expand IS NOT NULL THEN
        PERFORM tally.fail('TL018', format('expand of %s is given without the columns that it is a query over.', source));
    END IF;
    SELECT x.* INTO d FROM tally.derive(v.definition, v.key, tally.part(v)) x WHERE x.source = watch_derived.source;
    IF NOT FOUND AND v.state = 'defined' THEN
        PERFORM tally.fail('TL018', format('%s does not read %s, so nothing can be derived of it.', v.definition, source));
    ELSIF NOT FOUND THEN  -- the next definition reads it; tally.copy_sources will derive then
        PERFORM tally.add_source(v, source, tally.watched(source, '[]'), tally.sql_no_key(v.definition, v.key), true);
        RETURN;
    END IF;
    IF d.reach = 'every key' THEN
        RAISE WARNING '%', format('Each change of %s costs every key of %s: %s', source, tally.part(v), tally.reason(source, v.key, d.reach, d.why, d.ways, d.shape));
    END IF;
    PERFORM tally.add_derived(v, source, d.columns, d.expand, d.ways, d.shape);
END
$$;

-- tally.add_derived: the source that was derived; its SQL is parsed with pg_catalog alone on the path.
CREATE OR REPLACE FUNCTION tally.add_derived(v tally.derived_view, source regclass, columns name[], expand text, ways jsonb, shape jsonb)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    path text := current_setting('search_path');
    s    tally.source;
BEGIN
    PERFORM set_config('search_path', 'pg_catalog, pg_temp', true);
    s := tally.add_source(v, source, columns, expand, true);
    PERFORM set_config('search_path', path, true);
    UPDATE tally.source x SET wanted = tally.wanted_indexes(ways, shape) WHERE x.projection_id = v.id AND x.ordinal = s.ordinal;
END
$$;

-- tally.derive_sources: watch every table that the definition of a projection reads and that is not among its sources yet.
--   Used by   tally.copy_sources
CREATE OR REPLACE FUNCTION tally.derive_sources(v tally.derived_view)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    d record;
BEGIN
    FOR d IN SELECT x.* FROM tally.derive(v.definition, v.key, tally.part(v)) x JOIN pg_class c ON c.oid = x.source AND c.relkind IN ('r', 'p')
             WHERE NOT EXISTS (SELECT FROM tally.source s WHERE s.projection_id = v.id AND s.relation = x.source) LOOP
        IF d.reach = 'every key' THEN
            RAISE WARNING '%', format('Each change of %s costs every key of %s: %s', d.source, tally.part(v), tally.reason(d.source, v.key, d.reach, d.why, d.ways, d.shape));
        END IF;
        PERFORM tally.add_derived(v, d.source, d.columns, d.expand, d.ways, d.shape);
    END LOOP;
END
$$;

-- tally.wanted_indexes: the look-ups that ways take, to be asked later whether their index is there.
CREATE OR REPLACE FUNCTION tally.wanted_indexes(ways jsonb, shape jsonb)
RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT coalesce(jsonb_agg(DISTINCT jsonb_build_object('relation', s.relation::oid::bigint, 'col', s.col)), '[]') FROM tally.way_steps(ways, shape) s WHERE s.col IS NOT NULL
$$;

-- tally.missing_indexes: those that are not there, as CREATE INDEX.
CREATE OR REPLACE FUNCTION tally.missing_indexes(wanted jsonb)
RETURNS SETOF text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('CREATE INDEX ON %s (%I)', c.oid::regclass, w ->> 'col')
    FROM jsonb_array_elements(wanted) w JOIN pg_class c ON c.oid = (w ->> 'relation')::oid
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = w ->> 'col' AND NOT a.attisdropped
    WHERE NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL AND i.indkey[0] = a.attnum)
$$;
