-- Bring an installed engine to this version: psql -d DATABASE -f sql/tally/upgrade.sql
-- It replaces the engine's functions and generates those of every derived view again. Tables, rows and triggers stay, and writers go on.
\set upgrade 1
\ir install.sql
