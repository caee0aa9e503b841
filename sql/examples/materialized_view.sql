-- An existing slow materialized view becomes a snapshot: it is refreshed only if a table that it reads has changed.
-- Run it in a database with the engine: psql -v ON_ERROR_STOP=1 -f sql/examples/materialized_view.sql
-- Lines that begin with "-->" are what the statement above them prints.

CREATE SCHEMA report;
CREATE TABLE report.customer (id bigint PRIMARY KEY, region text);          -- the region may be unknown
CREATE TABLE report.invoice (
    id          bigint PRIMARY KEY,
    customer_id bigint NOT NULL REFERENCES report.customer,
    issued_on   date NOT NULL,
    amount      numeric(12, 2) NOT NULL);
INSERT INTO report.customer VALUES (1, 'north'), (2, 'south'), (3, NULL);
INSERT INTO report.invoice  VALUES (1, 1, '2026-01-10', 100), (2, 1, '2026-02-10', 50), (3, 2, '2026-01-20', 80), (4, 3, '2026-02-01', 7);

-- The state before: a timer refreshes it, whether anything has changed or not.
CREATE MATERIALIZED VIEW report.revenue AS
SELECT c.region, date_trunc('month', i.issued_on::timestamp)::date AS month, sum(i.amount) AS amount, count(*) AS invoices
FROM report.invoice i JOIN report.customer c ON c.id = i.customer_id GROUP BY 1, 2;
CREATE UNIQUE INDEX revenue_recent ON report.revenue (region, month) WHERE month >= '2026-01-01';

-- A refresh that does not block readers needs a unique index over all rows: on plain columns, without WHERE.
DO $$ BEGIN PERFORM tally.create_snapshot('report.revenue'); EXCEPTION WHEN SQLSTATE 'TL014' THEN RAISE NOTICE '%', SQLERRM; END $$;
--> NOTICE:  report.revenue has no unique index that covers every row.
DROP INDEX report.revenue_recent;
CREATE UNIQUE INDEX ON report.revenue (region, month);

-- The catalog tells which tables it reads, so nothing is watched by hand. activate locks the tables until the commit, so commit soon.
BEGIN;
SELECT tally.create_snapshot('report.revenue');
SELECT tally.activate('report.revenue');
COMMIT;

SELECT outcome FROM tally.refresh('report.revenue');                        -- the first time always, because earlier changes are unknown
--> merged
SELECT outcome FROM tally.refresh('report.revenue');                        -- nothing has changed: nothing is done
--> nothing

-- Each writing statement adds one row to report.revenue_delta, however many rows it changes. The refresh consumes all of them.
UPDATE report.invoice SET amount = amount + 1 WHERE customer_id = 1;
INSERT INTO report.invoice VALUES (5, 2, '2026-03-01', 20);
SELECT state, pending FROM tally.status WHERE name = 'report.revenue';
--> active | 2
SELECT outcome, consumed FROM tally.merge('report.revenue');                -- what a scheduler calls; refresh does the same
--> merged | 2
SELECT region, month, amount, invoices FROM report.revenue ORDER BY region, month;
--> north | 2026-01-01 | 101.00 | 1
--> north | 2026-02-01 | 51.00 | 1
--> south | 2026-01-01 | 80.00 | 1
--> south | 2026-03-01 | 20.00 | 1
-->  | 2026-02-01 | 7.00 | 1

-- The customer without a region has a NULL in the unique index. NULLs are never equal there, so every refresh deletes these rows and
-- writes them again, changed or not. refresh warns if the statistics show NULLs.
ANALYZE report.revenue;
UPDATE report.customer SET region = 'north' WHERE id = 2;
SELECT outcome FROM tally.refresh('report.revenue');
--> WARNING:  report.revenue has NULLs in its unique columns region: each refresh writes those rows anew.
--> HINT:  Give them a value in the definition, with coalesce() say.
--> merged
SELECT region, amount, invoices FROM report.revenue WHERE month = '2026-01-01';
--> north | 181.00 | 2

-- The repair: a value for an unknown region, in a materialized view of the same name. drop removes what the engine made, and keeps
-- the materialized view.
BEGIN;
SELECT tally.drop('report.revenue');
DROP MATERIALIZED VIEW report.revenue;
CREATE MATERIALIZED VIEW report.revenue AS
SELECT coalesce(c.region, 'unknown') AS region, date_trunc('month', i.issued_on::timestamp)::date AS month, sum(i.amount) AS amount, count(*) AS invoices
FROM report.invoice i JOIN report.customer c ON c.id = i.customer_id GROUP BY 1, 2;
CREATE UNIQUE INDEX ON report.revenue (region, month);
SELECT tally.create_snapshot('report.revenue');
SELECT tally.activate('report.revenue');
COMMIT;
ANALYZE report.revenue;
SELECT outcome FROM tally.refresh('report.revenue');
--> merged
SELECT count(*) FROM tally.verify('report.revenue');                        -- the stored rows are those of its query
--> 0
