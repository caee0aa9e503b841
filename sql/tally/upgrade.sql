-- Upgrade the engine: psql -d DATABASE -f sql/tally/upgrade.sql
\ir scripts/upgrade.sql
