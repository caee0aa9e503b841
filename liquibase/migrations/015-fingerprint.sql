-- What a definition meant when its derived view was made, and by which OIDs the engine knows what it made. An installed engine gets
-- these tables from sql/tally/upgrade.sql too, so they may be there.

CREATE TABLE IF NOT EXISTS tally.fingerprint (
    view_id    integer PRIMARY KEY REFERENCES tally.derived_view ON DELETE CASCADE,
    place      text    NOT NULL,   -- cluster and database: in another one OIDs and column numbers mean something else
    meaning    text    NOT NULL,   -- digest of the views, functions, types and columns below the definition
    names      text    NOT NULL,   -- digest of what they are called
    collations text    NOT NULL,   -- versions of the collations
    used       jsonb   NOT NULL,   -- source's ordinal: numbers of its columns that the definition uses
    watched    jsonb   NOT NULL,   -- source's ordinal: numbers of its watched columns
    relations  oid[]   NOT NULL,   -- whose catalog rows tally.glance looks at
    functions  oid[]   NOT NULL,
    types      oid[]   NOT NULL,
    glance     text    NOT NULL,   -- what tally.glance saw: the same again means that nothing has changed
    mend       boolean NOT NULL DEFAULT false   -- rollups are to be compared with what is below them
);

CREATE TABLE IF NOT EXISTS tally.made (
    view_id    integer  NOT NULL REFERENCES tally.derived_view ON DELETE CASCADE,
    suffix     text     NOT NULL CHECK (suffix IN ('', '_delta', '_state')),
    relation   regclass NOT NULL,
    PRIMARY KEY (view_id, suffix)
);
