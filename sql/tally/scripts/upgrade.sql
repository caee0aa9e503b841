-- Bring an installed engine to this version: psql -d DATABASE -f sql/tally/upgrade.sql
-- Replaces its functions and makes those of every derived view anew; tables, rows and triggers stay, and writers go on.
\set upgrade 1
\ir install.sql
