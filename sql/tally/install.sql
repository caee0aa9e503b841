-- Install the engine: psql -d DATABASE -f sql/tally/install.sql
\ir scripts/install.sql
