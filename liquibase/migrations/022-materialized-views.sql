-- Materialized views that derived views are made of. pg_dump may make them after the rows of tables (it does when they group by a primary key), and
-- then no column of type regclass can name them while a dump is restored. So they are kept by OID, and by name where OIDs mean something
-- else. Run once by a migration, and by psql at each install and upgrade: again is harmless.
CREATE TABLE IF NOT EXISTS tally.materialized_view (
    view_id       integer NOT NULL REFERENCES tally.derived_view ON DELETE CASCADE,
    role          text    NOT NULL CHECK (role IN ('snapshot', 'static')),   -- the view itself; or what a projection reads, assumed static
    schema_name   name    NOT NULL,
    relation_name name    NOT NULL,
    relation      oid     NOT NULL,
    place         text    NOT NULL,   -- where that OID means something: as in tally.fingerprint
    PRIMARY KEY (view_id, schema_name, relation_name)
);

INSERT INTO tally.materialized_view (view_id, role, schema_name, relation_name, relation, place)
SELECT m.view_id, m.role, n.nspname, c.relname, c.oid, format('%s/%s/%s', s.system_identifier, b.oid, 'tally'::regnamespace::oid)
FROM (SELECT d.id, 'snapshot', d.definition FROM tally.derived_view d WHERE d.kind = 'snapshot' AND d.definition IS NOT NULL
      UNION ALL SELECT s.projection_id, 'static', s.relation FROM tally.source s WHERE s.columns IS NULL) AS m(view_id, role, relation)
JOIN pg_class c ON c.oid = m.relation AND c.relkind = 'm' JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN pg_control_system() s JOIN pg_database b ON b.datname = current_database();
UPDATE tally.derived_view d SET definition = NULL WHERE d.kind = 'snapshot' AND d.definition IS NOT NULL;
DELETE FROM tally.made m USING tally.derived_view d WHERE d.id = m.view_id AND d.kind = 'snapshot' AND m.suffix = '';
DELETE FROM tally.source s USING tally.materialized_view m WHERE m.role = 'static' AND m.view_id = s.projection_id AND m.relation = s.relation;

-- A place names the schema tally too: a dump restored into the same database has another one.
UPDATE tally.fingerprint f SET place = f.place || '/' || 'tally'::regnamespace::oid WHERE f.place ~ '^\d+/\d+$';
