-- The engine, alone: psql -d DATABASE -f sql/tally/install.sql (and upgrade.sql, later)
-- The order in which a row meets it: names, declaring, logging, merging, reading, looking after.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
BEGIN;
\if :{?upgrade}
\else
\ir ../../liquibase/migrations/010-tally.sql
\endif
\ir errors.sql
\ir names.sql
\ir lookup.sql
\ir seal.sql
\ir reads.sql
\ir create_projection.sql
\ir generate_expand.sql
\ir watch.sql
\ir sql_matching.sql
\ir sql_find.sql
\ir measures.sql
\ir create_rollup.sql
\ir make_rollup.sql
\ir generate_log.sql
\ir install_triggers.sql
\ir scan_from.sql
\ir generate_backlog.sql
\ir generate_live.sql
\ir generate_apply.sql
\ir generate_sweep.sql
\ir generate_evaluate.sql
\ir generate_wide.sql
\ir generate_step.sql
\ir generate_merge.sql
\ir quarantine.sql
\ir generate_rollup_apply.sql
\ir generate_rollup_live.sql
\ir create_snapshot.sql
\ir activate_snapshot.sql
\ir activate.sql
\ir regenerate.sql
\ir refresh_snapshot.sql
\ir merge.sql
\ir refresh.sql
\ir token.sql
\ir wait_for.sql
\ir status.sql
\ir views.sql
\ir due.sql
\ir health.sql
\ir verify.sql
\ir repair.sql
\ir rebuild.sql
\ir heal.sql
\ir schedule.sql
\ir pause.sql
\ir resume.sql
\ir drop.sql
\ir copy_sources.sql
\ir redefine.sql
\ir swap.sql
\ir grants.sql
\if :{?upgrade}
SELECT tally.regenerate() AS "made anew";
\endif
COMMIT;
