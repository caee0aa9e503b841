-- The engine, alone, as one transaction; an upgrade then makes anew what it has generated. sql/tally/install.sql and upgrade.sql run this.
-- The files are in the order in which they matter for a row: names, declaring, logging, merging, reading, upkeep.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
BEGIN;
SET LOCAL client_encoding = 'UTF8'; SET LOCAL standard_conforming_strings = on;  -- as these files are written
SET LOCAL lock_timeout = '3s';  -- merges and readers wait behind it for the engine's tables
DO $$
BEGIN
    IF current_setting('server_encoding') NOT IN ('UTF8', 'SQL_ASCII') THEN
        RAISE feature_not_supported USING MESSAGE = format('Database %I has the encoding %s; the engine needs UTF8.', current_database(), current_setting('server_encoding')),
            HINT = 'CREATE DATABASE name ENCODING ''UTF8'' TEMPLATE template0, and move the data there with pg_dump.';
    END IF;
END
$$;
\if :{?upgrade}
\else
\ir ../../../liquibase/migrations/010-tally.sql
\endif
\ir ../../../liquibase/migrations/012-quarantine.sql
\ir ../../../liquibase/migrations/013-sources.sql
\ir ../../../liquibase/migrations/015-fingerprint.sql
\ir ../../../liquibase/migrations/016-live-key.sql
\ir ../../../liquibase/migrations/017-split.sql
\ir ../../../liquibase/migrations/018-target-lag.sql
\ir ../../../liquibase/migrations/019-write-back.sql
\ir ../../../liquibase/migrations/021-merge-choice.sql
\ir ../../../liquibase/migrations/022-materialized-views.sql
\ir ../../../liquibase/migrations/023-since-crash.sql
\ir ../../../liquibase/migrations/081-written-columns.sql
\ir ../../../liquibase/migrations/088-unlogged.sql
\ir ../../../liquibase/migrations/089-triggers.sql
\ir ../catalog/errors.sql
\ir ../catalog/names.sql
\ir ../catalog/lookup.sql
\ir ../catalog/given.sql
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
\ir ../derive/membership.sql
\ir ../derive/read_condition.sql
\ir ../derive/read_definition.sql
\ir ../derive/find_way.sql
\ir ../derive/derive_ways.sql
\ir ../derive/derive.sql
\ir ../derive/reason.sql
\ir ../derive/way_steps.sql
\ir ../derive/propose_keys.sql
\ir ../derive/explain.sql
\ir ../derive/explain_view.sql
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
\ir ../catalog/interrupt_autovacuum.sql
\ir ../catalog/lock_tables.sql
\ir ../catalog/unlogged.sql
\ir ../catalog/install_triggers.sql
\ir ../catalog/require_source.sql
\ir ../catalog/scan_from.sql
\ir ../generate/generate_backlog.sql
\ir ../generate/generate_live.sql
\ir ../generate/generate_apply.sql
\ir ../generate/generate_sweep_range.sql
\ir ../generate/generate_evaluate.sql
\ir ../generate/generate_quarantine.sql
\ir ../generate/generate_take.sql
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
\ir ../catalog/follow_triggers.sql
\ir ../api/activate.sql
\ir ../api/regenerate.sql
\ir ../catalog/refresh_snapshot.sql
\ir ../catalog/fingerprint.sql
\ir ../catalog/follow_definition.sql
\ir ../catalog/target_lag.sql
\ir ../catalog/merge_choice.sql
\ir ../catalog/plan_mode.sql
\ir ../api/write_back.sql
\ir ../api/merge.sql
\ir ../api/refresh.sql
\ir ../api/token.sql
\ir ../api/wait_for.sql
\ir ../api/status.sql
\ir ../api/views.sql
\ir ../api/due.sql
\ir ../api/ready.sql
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
COMMIT;
\if :{?upgrade}
-- one transaction for each view, because readers of its live view wait until it ends
SELECT format('SELECT tally.regenerate_view(%s) AS "made anew"', v.id) FROM tally.outdated(true) v \gexec
SELECT tally.regenerate() AS "made anew";
\endif
