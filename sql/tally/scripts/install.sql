-- The engine, alone: psql -d DATABASE -f sql/tally/install.sql (and upgrade.sql, later)
-- The order in which a row meets it: names, declaring, logging, merging, reading, looking after.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
BEGIN;
\if :{?upgrade}
\else
\ir ../../../liquibase/migrations/010-tally.sql
\endif
\ir ../../../liquibase/migrations/012-quarantine.sql
\ir ../../../liquibase/migrations/013-sources.sql
\ir ../../../liquibase/migrations/015-fingerprint.sql
\ir ../../../liquibase/migrations/016-live-key.sql
\ir ../../../liquibase/migrations/017-split.sql
\ir ../catalog/errors.sql
\ir ../catalog/names.sql
\ir ../catalog/lookup.sql
\ir ../catalog/operators.sql
\ir ../generate/render.sql
\ir ../generate/seal.sql
\ir ../catalog/views_under.sql
\ir ../catalog/tables_read.sql
\ir ../catalog/read_tree.sql
\ir ../catalog/text_setting.sql
\ir ../catalog/allowed_calls.sql
\ir ../catalog/unstable_parts.sql
\ir ../catalog/refuse_unsafe.sql
\ir ../api/create_projection.sql
\ir ../generate/generate_expand.sql
\ir ../api/watch.sql
\ir ../derive/node_tree.sql
\ir ../derive/resolve.sql
\ir ../derive/read_condition.sql
\ir ../derive/read_definition.sql
\ir ../derive/find_way.sql
\ir ../derive/derive_ways.sql
\ir ../derive/derive.sql
\ir ../derive/reason.sql
\ir ../derive/way_steps.sql
\ir ../derive/propose_keys.sql
\ir ../derive/explain.sql
\ir ../derive/watch_derived.sql
\ir ../derive/doubt.sql
\ir ../derive/split_text.sql
\ir ../derive/split_parts.sql
\ir ../derive/split.sql
\ir ../derive/keep.sql
\ir ../derive/rehearse.sql
\ir ../generate/sql_matching.sql
\ir ../generate/measures.sql
\ir ../generate/sql_find.sql
\ir ../api/create_rollup.sql
\ir ../catalog/make_rollup.sql
\ir ../generate/generate_log.sql
\ir ../generate/generate_moves.sql
\ir ../catalog/lock_tables.sql
\ir ../catalog/install_triggers.sql
\ir ../catalog/require_source.sql
\ir ../catalog/scan_from.sql
\ir ../generate/generate_backlog.sql
\ir ../generate/generate_live.sql
\ir ../generate/generate_apply.sql
\ir ../generate/generate_sweep_range.sql
\ir ../generate/generate_evaluate.sql
\ir ../generate/generate_quarantine.sql
\ir ../generate/generate_wide.sql
\ir ../generate/generate_sweep_forward.sql
\ir ../generate/generate_consume.sql
\ir ../catalog/quarantine.sql
\ir ../generate/generate_rollup_apply.sql
\ir ../generate/generate_rollup_live.sql
\ir ../generate/generate_upkeep.sql
\ir ../catalog/own_made.sql
\ir ../api/create_snapshot.sql
\ir ../catalog/activate_snapshot.sql
\ir ../catalog/follow_partitions.sql
\ir ../api/activate.sql
\ir ../api/regenerate.sql
\ir ../catalog/refresh_snapshot.sql
\ir ../catalog/fingerprint.sql
\ir ../catalog/follow_definition.sql
\ir ../api/merge.sql
\ir ../api/refresh.sql
\ir ../api/token.sql
\ir ../api/wait_for.sql
\ir ../api/status.sql
\ir ../api/views.sql
\ir ../api/due.sql
\ir ../api/health.sql
\ir ../api/verify.sql
\ir ../api/repair.sql
\ir ../api/rebuild.sql
\ir ../api/heal.sql
\ir ../api/guard.sql
\ir ../api/schedule.sql
\ir ../api/pause.sql
\ir ../api/resume.sql
\ir ../api/drop.sql
\ir ../catalog/copy_settings.sql
\ir ../catalog/copy_sources.sql
\ir ../api/redefine.sql
\ir ../catalog/swap.sql
\ir grants.sql
\if :{?upgrade}
SELECT tally.regenerate() AS "made anew";
\endif
COMMIT;
