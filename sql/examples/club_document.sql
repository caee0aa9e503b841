-- A JSON document per club, made from seven tables and kept up to date; and a rollup over the documents.
-- Run it in a database with the engine: psql -v ON_ERROR_STOP=1 -f sql/examples/club_document.sql
-- Lines that begin with "-->" are what the statement above them prints.

CREATE SCHEMA clubs;
CREATE TABLE clubs.club   (id bigint PRIMARY KEY, name text NOT NULL, city text NOT NULL);
CREATE TABLE clubs.tag    (id bigint PRIMARY KEY, name text NOT NULL);
CREATE TABLE clubs.person (id bigint PRIMARY KEY, name text NOT NULL, email text);
CREATE TABLE clubs.club_tag (
    club_id   bigint REFERENCES clubs.club ON DELETE CASCADE,
    tag_id    bigint REFERENCES clubs.tag ON DELETE CASCADE,
    PRIMARY KEY (club_id, tag_id));
CREATE TABLE clubs.member (
    club_id   bigint REFERENCES clubs.club ON DELETE CASCADE,
    person_id bigint REFERENCES clubs.person ON DELETE CASCADE,
    joined_on date NOT NULL,
    PRIMARY KEY (club_id, person_id));
CREATE TABLE clubs.officer (                                    -- only a member can be an officer
    club_id   bigint,
    person_id bigint,
    office    text NOT NULL,
    PRIMARY KEY (club_id, office),
    FOREIGN KEY (club_id, person_id) REFERENCES clubs.member ON DELETE CASCADE);
CREATE TABLE clubs.event (
    id        bigint PRIMARY KEY,
    club_id   bigint NOT NULL REFERENCES clubs.club ON DELETE CASCADE,
    title     text NOT NULL,
    held_on   date NOT NULL);
-- The definition is evaluated for a few clubs at a time. So each column by which it looks up rows of a club needs an index, and so
-- does each column that leads from a changed row to clubs: from a tag or an officer.
CREATE INDEX ON clubs.event (club_id);
CREATE INDEX ON clubs.club_tag (tag_id);
CREATE INDEX ON clubs.officer (person_id);

INSERT INTO clubs.club   VALUES (1, 'Chess', 'Bern'), (2, 'Go', 'Bern'), (3, 'Rowing', 'Thun');
INSERT INTO clubs.tag    VALUES (1, 'indoor'), (2, 'board game'), (3, 'water');
INSERT INTO clubs.person VALUES (1, 'Ada', 'ada@example.org'), (2, 'Ben', NULL), (3, 'Cleo', NULL), (4, 'Dan', NULL);
INSERT INTO clubs.club_tag VALUES (1, 1), (1, 2), (2, 1), (2, 2), (3, 3);
INSERT INTO clubs.member SELECT c, p, date '2026-01-01' + p FROM (VALUES (1, 1), (1, 2), (1, 3), (2, 1), (2, 4), (3, 2)) AS m(c, p);
INSERT INTO clubs.officer  VALUES (1, 1, 'president'), (1, 2, 'treasurer'), (2, 1, 'president');
INSERT INTO clubs.event    VALUES (1, 1, 'Open evening', '2026-03-05'), (2, 1, 'Blitz', '2026-04-02'), (3, 3, 'Regatta', '2026-06-20');

-- The definition is an ordinary view with one row a club. Each part is aggregated in its own LATERAL, because joining tags, members
-- and events in one FROM would multiply them. Every jsonb_agg has an ORDER BY, so that a document depends only on the rows and not on
-- their physical order. It uses dates instead of times, because a timestamptz in JSON depends on the session's time zone.
CREATE VIEW clubs.document_def AS
SELECT c.id AS club_id, c.city, m.members, CASE WHEN m.members < 3 THEN 'small' ELSE 'large' END AS size,
       jsonb_build_object('name', c.name, 'tags', t.tags, 'officers', o.officers, 'members', m.members,
                          'events', e.events, 'last_event', e.last_event) AS document
FROM clubs.club c
CROSS JOIN LATERAL (
    SELECT coalesce(jsonb_agg(t.name ORDER BY t.name, t.id), '[]') AS tags
    FROM clubs.club_tag x JOIN clubs.tag t ON t.id = x.tag_id WHERE x.club_id = c.id) t
CROSS JOIN LATERAL (
    SELECT coalesce(jsonb_agg(jsonb_build_object('office', o.office, 'name', p.name, 'since', m.joined_on) ORDER BY o.office), '[]') AS officers
    FROM clubs.officer o JOIN clubs.member m USING (club_id, person_id) JOIN clubs.person p ON p.id = o.person_id
    WHERE o.club_id = c.id) o
CROSS JOIN LATERAL (SELECT count(*) AS members FROM clubs.member m WHERE m.club_id = c.id) m
CROSS JOIN LATERAL (SELECT count(*) AS events, max(e.held_on) AS last_event FROM clubs.event e WHERE e.club_id = c.id) e;

BEGIN;
-- The columns to watch are derived from the view. Rows that hold the club's id name the document themselves. A row that moves to another
-- club logs both ids. A tag or a person may be in the documents of many clubs. These are looked up when the change is merged, not in
-- the writer's statement.
SELECT source, columns, reason FROM tally.keep('clubs.document', 'clubs.document_def');
--> clubs.club | {id} | A row of clubs.club holds the key (club_id) itself.
--> clubs.club_tag | {club_id} | A row of clubs.club_tag holds the key (club_id) itself.
--> clubs.event | {club_id} | A row of clubs.event holds the key (club_id) itself.
--> clubs.member | {club_id} | A row of clubs.member holds the key (club_id) itself, and by 1 more way.
--> clubs.officer | {club_id} | A row of clubs.officer holds the key (club_id) itself.
--> clubs.person | {id} | A row of clubs.person leads to the key (club_id) by person.id = officer.person_id.
--> clubs.tag | {id} | A row of clubs.tag leads to the key (club_id) by tag.id = club_tag.tag_id.
-- A rollup groups by columns of the projection, not by paths into the document. So the definition has these columns too.
SELECT tally.create_rollup('clubs.by_city', 'clubs.document', '{city,size}',
                           '{"clubs":"count(*)", "members":"sum(members)", "largest":"max(members)"}');
COMMIT;

SELECT outcome, keys, changed FROM tally.refresh('clubs.document');                             -- the first fill
--> merged | 3 | 3
SELECT document FROM clubs.document WHERE club_id = 1;
--> {"name": "Chess", "tags": ["board game", "indoor"], "events": 2, "members": 3, "officers": [{"name": "Ada", "since": "2026-01-02", "office": "president"}, {"name": "Ben", "since": "2026-01-03", "office": "treasurer"}], "last_event": "2026-04-02"}
SELECT city, size, clubs, members, largest FROM clubs.by_city ORDER BY city, size;
--> Bern | large | 1 | 3 | 3
--> Bern | small | 1 | 2 | 2
--> Thun | small | 1 | 1 | 1

-- Renaming a person changes the documents of all clubs in which she is an officer: two clubs, in one merge.
UPDATE clubs.person SET name = 'Ada L.' WHERE id = 1;
SELECT club_id, document #>> '{officers,0,name}' FROM clubs.document      WHERE club_id < 3 ORDER BY club_id;  -- as of the last merge
--> 1 | Ada
--> 2 | Ada
SELECT club_id, document #>> '{officers,0,name}' FROM clubs.document_live WHERE club_id < 3 ORDER BY club_id;  -- exact now
--> 1 | Ada L.
--> 2 | Ada L.
SELECT outcome, keys, changed FROM tally.merge('clubs.document');
--> merged | 2 | 2

-- A change of a column that the definition does not use logs nothing, so there is nothing to merge.
UPDATE clubs.person SET email = 'ada@example.com' WHERE id = 1;
SELECT outcome FROM tally.merge('clubs.document');
--> nothing

-- A cascade is logged like any other write: deleting the member also deletes the office. The club is evaluated once, and the
-- difference moves it from one cell of the rollup to another.
DELETE FROM clubs.member WHERE club_id = 1 AND person_id = 2;
SELECT outcome, consumed, keys, changed FROM tally.merge('clubs.document');
--> merged | 2 | 1 | 1
SELECT document -> 'officers' FROM clubs.document WHERE club_id = 1;
--> [{"name": "Ada L.", "since": "2026-01-02", "office": "president"}]
SELECT city, size, clubs, members, largest FROM clubs.by_city ORDER BY city, size;
--> Bern | small | 2 | 4 | 2
--> Thun | small | 1 | 1 | 1

SELECT count(*) FROM tally.verify('clubs.document');                                            -- no difference anywhere
--> 0
