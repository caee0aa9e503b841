-- Remove the engine: psql -d DATABASE -f sql/tally/uninstall.sql
\ir scripts/uninstall.sql
