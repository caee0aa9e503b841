-- Which services does an incident affect? Dependents in a graph with cycles, up to 6 hops away, kept for every service.
-- Run it in a database with the engine: psql -v ON_ERROR_STOP=1 -f sql/examples/incident_dependents.sql
-- Lines that begin with "-->" are what the statement above them prints.

CREATE SCHEMA ops;
CREATE TABLE ops.service (id bigint PRIMARY KEY, name text NOT NULL, team text NOT NULL);
CREATE TABLE ops.dependency (                                   -- service_id cannot work without needs_id
    service_id bigint REFERENCES ops.service ON DELETE CASCADE,
    needs_id   bigint REFERENCES ops.service ON DELETE CASCADE,
    PRIMARY KEY (service_id, needs_id));
CREATE INDEX ON ops.dependency (needs_id, service_id);
CREATE TABLE ops.incident (id bigint PRIMARY KEY, service_id bigint NOT NULL REFERENCES ops.service, title text NOT NULL);

INSERT INTO ops.service VALUES (1, 'db', 'data'), (2, 'auth', 'core'), (3, 'api', 'core'), (4, 'shop', 'web'), (5, 'search', 'data'), (6, 'mail', 'web');
-- auth needs db, api needs auth, shop needs api and search, search needs db; and a cycle: auth needs mail, mail needs api
INSERT INTO ops.dependency VALUES (2, 1), (3, 2), (4, 3), (4, 5), (5, 1), (2, 6), (6, 3);
INSERT INTO ops.incident VALUES (1, 1, 'disk full');

-- The definition has a row per root and dependent, with the shortest distance. The recursion is in a LATERAL and starts at ONE root.
-- So the condition of a merge, "WHERE root_id = ANY (…)", starts only at those roots. A single WITH RECURSIVE that starts at every root
-- would walk the whole graph in each merge, because PostgreSQL pushes no condition into a recursive query. UNION drops rows that
-- were found before at the same distance; the limit of 6 hops ends cycles. The team is looked up row by row: the planner cannot
-- estimate how many rows the recursion returns, and might read every service for each root in a join.
CREATE VIEW ops.dependents_def AS
SELECT r.id AS root_id, d.dependent_id, (SELECT s.team FROM ops.service s WHERE s.id = d.dependent_id) AS team, d.distance
FROM ops.service r
CROSS JOIN LATERAL (
    WITH RECURSIVE reached(id, distance) AS (
        SELECT r.id, 0
        UNION
        SELECT e.service_id, reached.distance + 1
        FROM reached JOIN ops.dependency e ON e.needs_id = reached.id
        WHERE reached.distance < 6)
    SELECT reached.id AS dependent_id, min(reached.distance) AS distance
    FROM reached WHERE reached.id <> r.id GROUP BY reached.id) d;

BEGIN;
-- A key has many rows: a merge evaluates all rows of a root, and compares them by root and dependent.
SELECT tally.create_projection('ops.dependents', 'ops.dependents_def', key => '{root_id}', identity => '{root_id,dependent_id}');
CREATE INDEX ON ops.dependents (dependent_id);                  -- for expand, and for "what can break me?"

-- An expand that does not return the key is refused when it is declared, not when the first row changes.
DO $$ BEGIN
    PERFORM tally.watch('ops.dependents', 'ops.dependency', '{service_id,needs_id}', expand => 'SELECT service_id, needs_id FROM changed');
EXCEPTION WHEN SQLSTATE 'TL010' THEN RAISE NOTICE '%', SQLERRM; END $$;
--> NOTICE:  expand of ops.dependency must return the key of ops.dependents, which is (root_id bigint), and nothing else.

-- An edge "service needs X" changes the dependents of X, and of what X needs, up to 5 hops further. The expand finds these roots in two
-- ways: it walks backwards from X over the present edges, and it looks into the stored rows, where a deleted edge has left its rows.
-- Either is enough as long as every merge succeeds: of all changed edges on a path, the one nearest to the root has an unchanged
-- way to it. The look-up is cheaper; the walk also finds roots whose last evaluation failed.
SELECT tally.watch('ops.dependents', 'ops.dependency', '{needs_id}', expand => $$
    WITH RECURSIVE back(id, distance) AS (
        SELECT needs_id, 0 FROM changed
        UNION
        SELECT e.needs_id, back.distance + 1
        FROM back JOIN ops.dependency e ON e.service_id = back.id WHERE back.distance < 5)
    SELECT id FROM back
    UNION
    SELECT d.root_id FROM ops.dependents d JOIN changed c ON d.dependent_id = c.needs_id WHERE d.distance < 6 $$);
-- A service is a root itself, and the roots that it depends on show its team. When it is added or deleted, its edges log themselves.
SELECT tally.watch('ops.dependents', 'ops.service', '{id}', expand => $$
    SELECT id FROM changed
    UNION
    SELECT d.root_id FROM ops.dependents d JOIN changed c ON d.dependent_id = c.id $$);
SELECT tally.create_rollup('ops.reach', 'ops.dependents', '{root_id}',
                           '{"dependents":"count(*)", "teams":"count(distinct team)", "furthest":"max(distance)"}');
SELECT tally.activate('ops.dependents');
COMMIT;

SELECT outcome, keys, changed FROM tally.refresh('ops.dependents');        -- a service without dependents has no row
--> merged | 5 | 15
-- Whom to tell about incident 1: a look-up by key, however large the graph is.
SELECT s.name, d.team, d.distance
FROM ops.incident i JOIN ops.dependents d ON d.root_id = i.service_id JOIN ops.service s ON s.id = d.dependent_id
WHERE i.id = 1 ORDER BY d.distance, s.name;
--> auth | core | 1
--> search | data | 1
--> api | core | 2
--> shop | web | 2
--> mail | web | 3
SELECT dependents, teams, furthest FROM ops.reach WHERE root_id = 1;
--> 5 | 3 | 3

-- An edge is deleted, two hops from db: mail no longer needs api. This is one delta row. The roots that it leads to are evaluated,
-- and only the difference is written.
DELETE FROM ops.dependency WHERE service_id = 6 AND needs_id = 3;
SELECT dependents, teams, furthest FROM ops.reach_live WHERE root_id = 1;   -- exact now
--> 4 | 3 | 2
SELECT consumed, keys, changed FROM tally.merge('ops.dependents');
--> 1 | 4 | 4
SELECT dependents, teams, furthest FROM ops.reach WHERE root_id = 1;
--> 4 | 3 | 2

-- Both ends of a path change in one transaction: search now needs auth instead of db, and auth no longer needs db.
BEGIN;
UPDATE ops.dependency SET needs_id = 2 WHERE service_id = 5;
DELETE FROM ops.dependency WHERE service_id = 2 AND needs_id = 1;
COMMIT;
SELECT outcome FROM tally.merge('ops.dependents');
--> merged
SELECT count(*) FROM ops.dependents WHERE root_id = 1;                      -- nobody needs db any more
--> 0
SELECT s.name, d.distance FROM ops.dependents d JOIN ops.service s ON s.id = d.dependent_id WHERE root_id = 2 ORDER BY d.distance, s.name;
--> api | 1
--> search | 1
--> shop | 2

SELECT count(*) FROM tally.verify('ops.dependents');                        -- no difference anywhere
--> 0
