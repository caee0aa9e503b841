-- The schema that every isolation spec uses; run once in a new database that has the engine.
-- Parcels are in depots. app.route says which line serves a depot, and so which key a new parcel belongs to.
CREATE SCHEMA app;
CREATE TABLE app.route (depot integer PRIMARY KEY, line text NOT NULL);
CREATE TABLE app.parcel (id integer PRIMARY KEY, depot integer NOT NULL, sender text NOT NULL, weight integer NOT NULL);
CREATE INDEX ON app.parcel (depot);

-- One row per parcel, and a rollup of them.
CREATE VIEW app.trip_def AS
SELECT p.id, r.line, p.sender, p.weight FROM app.parcel p JOIN app.route r USING (depot);
-- One row per line. Here the key of a parcel is found only by way of its depot's route.
CREATE VIEW app.load_def AS
SELECT r.line, count(*) AS parcels, sum(p.weight) AS weight FROM app.route r JOIN app.parcel p USING (depot) GROUP BY r.line;

CREATE FUNCTION app.declare_trip() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tally.create_projection('app.trip', 'app.trip_def', key => '{id}');
    PERFORM tally.watch('app.trip', 'app.parcel', '{id}');
    PERFORM tally.watch('app.trip', 'app.route', '{depot}', expand => 'SELECT p.id FROM app.parcel p JOIN changed c USING (depot)');
    PERFORM tally.create_rollup('app.sums', 'app.trip', '{line}',
        '{"parcels":"count(*)", "weight":"sum(weight)", "senders":"count(distinct sender)"}');
    PERFORM tally.activate('app.trip');
END
$$;
CREATE FUNCTION app.declare_load() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tally.create_projection('app.load', 'app.load_def', key => '{line}');
    PERFORM tally.watch('app.load', 'app.route', '{line}');
    PERFORM tally.watch('app.load', 'app.parcel', '{depot}', expand => 'SELECT r.line FROM app.route r JOIN changed c USING (depot)');
    PERFORM tally.activate('app.load');
END
$$;
-- Statistics do not change during a spec. So plans do not change either, nor which reads conflict at SERIALIZABLE.
CREATE FUNCTION app.keep_statistics() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    t regclass;
BEGIN
    FOR t IN SELECT c.oid FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace IN ('app'::regnamespace, 'tally'::regnamespace) LOOP
        EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = off)', t);
    END LOOP;
END
$$;
SELECT app.declare_trip(), app.declare_load(), app.keep_statistics();

-- Where stored rows (suffix '') or live rows ('_live') differ from plain queries. One statement is one snapshot. Live rows must never
-- differ, whatever is running; stored rows must not differ once everything is merged.
CREATE FUNCTION app.differences(suffix text, trips regclass DEFAULT 'app.trip_def') RETURNS TABLE (relation text, side text, data text)
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format($q$
        WITH trip AS MATERIALIZED (SELECT id, line, sender, weight FROM app.trip%1$s), trip_oracle AS MATERIALIZED (TABLE %2$s),
             sums AS MATERIALIZED (SELECT line, parcels, weight, senders FROM app.sums%1$s),
             sums_oracle AS MATERIALIZED (SELECT t.line, count(*), sum(t.weight), count(DISTINCT t.sender) FROM %2$s t GROUP BY t.line),
             load AS MATERIALIZED (SELECT line, parcels, weight FROM app.load%1$s), load_oracle AS MATERIALIZED (TABLE app.load_def)
        SELECT 'app.trip%1$s', 'too much', d::text FROM (TABLE trip EXCEPT ALL TABLE trip_oracle) d
        UNION ALL SELECT 'app.trip%1$s', 'missing', d::text FROM (TABLE trip_oracle EXCEPT ALL TABLE trip) d
        UNION ALL SELECT 'app.sums%1$s', 'too much', d::text FROM (TABLE sums EXCEPT ALL TABLE sums_oracle) d
        UNION ALL SELECT 'app.sums%1$s', 'missing', d::text FROM (TABLE sums_oracle EXCEPT ALL TABLE sums) d
        UNION ALL SELECT 'app.load%1$s', 'too much', d::text FROM (TABLE load EXCEPT ALL TABLE load_oracle) d
        UNION ALL SELECT 'app.load%1$s', 'missing', d::text FROM (TABLE load_oracle EXCEPT ALL TABLE load) d
        $q$, suffix, trips);
END
$$;
CREATE FUNCTION app.look(trips regclass DEFAULT 'app.trip_def') RETURNS TABLE (relation text, side text, data text) LANGUAGE sql AS $$
    SELECT * FROM app.differences('_live', trips)
$$;

-- What every permutation ends with: merge what is left, then compare every form with the plain queries. No rows: all agree.
CREATE FUNCTION app.check(trips regclass DEFAULT 'app.trip_def') RETURNS TABLE (relation text, side text, data text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tally.refresh('app.trip');
    PERFORM tally.refresh('app.load');
    RETURN QUERY SELECT * FROM app.differences('', trips);
    RETURN QUERY SELECT * FROM app.differences('_live', trips);
    RETURN QUERY SELECT v.view, v.side, v.data::text FROM tally.verify('app.trip') v;
    RETURN QUERY SELECT v.view, v.side, v.data::text FROM tally.verify('app.load') v;
    RETURN QUERY SELECT s.name, 'pending', s.pending::text FROM tally.status s WHERE s.kind = 'projection' AND s.name LIKE 'app.%' AND s.pending > 0;
END
$$;

-- How far a redefinition of app.trip has come.
CREATE VIEW app.stage AS
SELECT d.definition, n.definition AS replacement, n.verified_at IS NOT NULL AS verified
FROM tally.derived_view d LEFT JOIN tally.derived_view n ON n.replaces_id = d.id WHERE d.id = (tally.lookup('app.trip')).id;

-- All that a merge writes, as one value: the same before and after a merge that failed.
CREATE FUNCTION app.kept() RETURNS text LANGUAGE sql AS $$
    SELECT md5(concat(
        (SELECT jsonb_agg(to_jsonb(x) ORDER BY x::text) FROM app.trip x), (SELECT jsonb_agg(to_jsonb(x) ORDER BY x::text) FROM app.sums x),
        (SELECT jsonb_agg(to_jsonb(x) ORDER BY x::text) FROM app.sums_state x), (SELECT jsonb_agg(to_jsonb(x) ORDER BY x::text) FROM app.load x),
        (SELECT jsonb_agg(to_jsonb(x) ORDER BY x::text) FROM app.trip_delta x), (SELECT jsonb_agg(to_jsonb(x) ORDER BY x::text) FROM app.load_delta x),
        (SELECT jsonb_agg(to_jsonb(x) ORDER BY x::text) FROM tally.merge_state x), (SELECT jsonb_agg(to_jsonb(x) ORDER BY x::text) FROM tally.quarantine x)))
$$;
CREATE TABLE app.note (kept text);

-- Notes whom to wait for; in a sequence, which a rollback does not take back.
CREATE SEQUENCE app.token;
CREATE FUNCTION app.note_token() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM setval('app.token', tally.token()::text::bigint); END $$;
-- Waits for the noted writer. An error comes back as its SQLSTATE, for its text names a transaction ID.
CREATE FUNCTION app.wait(patience interval DEFAULT '10 seconds') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tally.wait_for('app.sums', (SELECT t.last_value::text::xid8 FROM app.token t), patience);
    RETURN 'merged';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END
$$;

-- The setup of every spec: two depots of the north and one of the south, with three parcels, all merged.
CREATE FUNCTION app.reset() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM app.note;
    DELETE FROM app.parcel;
    DELETE FROM app.route;
    INSERT INTO app.route VALUES (1, 'north'), (2, 'north'), (3, 'south');
    INSERT INTO app.parcel VALUES (1, 1, 'ann', 10), (2, 2, 'bob', 20), (3, 3, 'ann', 40);
    PERFORM tally.refresh('app.trip');
    PERFORM tally.refresh('app.load');
END
$$;
