-- What every isolation spec works on; run once in a new database that has the engine.
-- Parcels lie in depots; app.route says which line serves a depot, and so to which key a new parcel belongs.
CREATE SCHEMA app;
CREATE TABLE app.route (depot integer PRIMARY KEY, line text NOT NULL);
CREATE TABLE app.parcel (id integer PRIMARY KEY, depot integer NOT NULL, sender text NOT NULL, weight integer NOT NULL);
CREATE INDEX ON app.parcel (depot);

-- One row per parcel, and a rollup of them.
CREATE VIEW app.trip_def AS
SELECT p.id, r.line, p.sender, p.weight FROM app.parcel p JOIN app.route r USING (depot);
-- One row per line: here the key of a parcel is found only through its depot's route.
CREATE VIEW app.load_def AS
SELECT r.line, count(*) AS parcels, sum(p.weight) AS weight FROM app.route r JOIN app.parcel p USING (depot) GROUP BY r.line;

BEGIN;
SELECT tally.create_projection('app.trip', 'app.trip_def', key => '{id}');
SELECT tally.watch('app.trip', 'app.parcel', '{id}');
SELECT tally.watch('app.trip', 'app.route', '{depot}', expand => 'SELECT p.id FROM app.parcel p JOIN changed c USING (depot)');
SELECT tally.create_rollup('app.sums', 'app.trip', '{line}',
    '{"parcels":"count(*)", "weight":"sum(weight)", "senders":"count(distinct sender)"}');
SELECT tally.activate('app.trip');
SELECT tally.create_projection('app.load', 'app.load_def', key => '{line}');
SELECT tally.watch('app.load', 'app.route', '{line}');
SELECT tally.watch('app.load', 'app.parcel', '{depot}', expand => 'SELECT r.line FROM app.route r JOIN changed c USING (depot)');
SELECT tally.activate('app.load');
COMMIT;

-- Statistics, and with them plans, and with those what SERIALIZABLE takes for a conflict, stay as they are.
DO $$
DECLARE
    t regclass;
BEGIN
    FOR t IN SELECT c.oid FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace IN ('app'::regnamespace, 'tally'::regnamespace) LOOP
        EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = off)', t);
    END LOOP;
END
$$;

-- Where live views differ from their oracles. One statement is one snapshot: true at any moment, whatever is in flight.
CREATE VIEW app.live_differences AS
WITH trip AS MATERIALIZED (TABLE app.trip_live), trip_oracle AS MATERIALIZED (TABLE app.trip_def),
     sums AS MATERIALIZED (TABLE app.sums_live), sums_oracle AS MATERIALIZED (TABLE app.sums_def),
     load AS MATERIALIZED (TABLE app.load_live), load_oracle AS MATERIALIZED (TABLE app.load_def)
SELECT 'app.trip_live' AS relation, 'too much' AS side, d::text AS data FROM (TABLE trip EXCEPT ALL TABLE trip_oracle) d
UNION ALL SELECT 'app.trip_live', 'missing', d::text FROM (TABLE trip_oracle EXCEPT ALL TABLE trip) d
UNION ALL SELECT 'app.sums_live', 'too much', d::text FROM (TABLE sums EXCEPT ALL TABLE sums_oracle) d
UNION ALL SELECT 'app.sums_live', 'missing', d::text FROM (TABLE sums_oracle EXCEPT ALL TABLE sums) d
UNION ALL SELECT 'app.load_live', 'too much', d::text FROM (TABLE load EXCEPT ALL TABLE load_oracle) d
UNION ALL SELECT 'app.load_live', 'missing', d::text FROM (TABLE load_oracle EXCEPT ALL TABLE load) d;

-- Where stored rows differ from the oracles: none when all is merged.
CREATE VIEW app.stored_differences AS
SELECT 'app.trip' AS relation, 'too much' AS side, d::text AS data FROM (TABLE app.trip EXCEPT ALL TABLE app.trip_def) d
UNION ALL SELECT 'app.trip', 'missing', d::text FROM (TABLE app.trip_def EXCEPT ALL TABLE app.trip) d
UNION ALL SELECT 'app.sums', 'too much', d::text FROM (TABLE app.sums EXCEPT ALL TABLE app.sums_def) d
UNION ALL SELECT 'app.sums', 'missing', d::text FROM (TABLE app.sums_def EXCEPT ALL TABLE app.sums) d
UNION ALL SELECT 'app.load', 'too much', d::text FROM (TABLE app.load EXCEPT ALL TABLE app.load_def) d
UNION ALL SELECT 'app.load', 'missing', d::text FROM (TABLE app.load_def EXCEPT ALL TABLE app.load) d;

-- What every permutation ends with: merge what is left, then compare every form with the oracle. No rows: all agree.
CREATE FUNCTION app.check() RETURNS TABLE (relation text, side text, data text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tally.refresh('app.trip');
    PERFORM tally.refresh('app.load');
    RETURN QUERY TABLE app.stored_differences;
    RETURN QUERY TABLE app.live_differences;
    RETURN QUERY SELECT v.view, v.side, v.data::text FROM tally.verify('app.trip') v;
    RETURN QUERY SELECT v.view, v.side, v.data::text FROM tally.verify('app.load') v;
    RETURN QUERY SELECT s.name, 'pending', s.pending::text FROM tally.status s WHERE s.kind = 'projection' AND s.name LIKE 'app.%' AND s.pending > 0;
END
$$;

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
