package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.countersink.testing.Eventually;
import dev.countersink.testing.Sql;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Writers at work while a delta table gets another name, or is closed to its owner: none fails, and nothing of theirs is missed. */
class UnloggedWritesTest {
    private static final String MERGE_ALL =
            "SELECT count(*) FROM (SELECT tally.merge(name) FROM tally.due() WHERE name NOT LIKE 'results.%') m";

    private final Engine engine = new Engine();

    UnloggedWritesTest() {
        engine.run("""
                CREATE SCHEMA kept;
                CREATE TABLE app.club (id int PRIMARY KEY, name text); INSERT INTO app.club VALUES (1, 'one'), (2, 'two');
                CREATE TABLE app.member (id int PRIMARY KEY, club int, dues int);
                INSERT INTO app.member SELECT i, i % 2 + 1, i FROM generate_series(1, 9) i;
                CREATE VIEW app.fact_def AS SELECT m.id, m.club, c.name, m.dues FROM app.member m JOIN app.club c ON c.id = m.club;
                SELECT tally.keep('kept.fact', 'app.fact_def');
                SELECT tally.create_rollup('kept.sums', 'kept.fact', '{name}', '{"n":"count(*)","dues":"sum(dues)"}');
                CREATE MATERIALIZED VIEW kept.clubs AS SELECT club, count(*) AS n FROM app.member GROUP BY club;
                CREATE UNIQUE INDEX ON kept.clubs (club);
                SELECT tally.create_snapshot('kept.clubs'); SELECT tally.activate('kept.clubs')""");
        refresh();
    }

    @AfterEach
    void close() throws Exception {
        engine.close();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "ALTER SCHEMA kept RENAME TO held",
                "ALTER TABLE kept.fact RENAME TO facts",
                "ALTER TABLE kept.fact_delta RENAME TO other_delta",
                "ALTER TABLE kept.clubs_delta RENAME TO other_delta",
                "ALTER MATERIALIZED VIEW kept.clubs RENAME TO circles",
                "ALTER TABLE kept.fact SET SCHEMA app",
                "ALTER TABLE kept.fact_delta SET SCHEMA app"
            })
    void whatAWriterWritesAfterARenameAndCommitsLateIsCompared(String rename) throws Exception {
        try (Sql writer = engine.session();
                Sql merger = engine.session()) {
            writer.run("BEGIN; SELECT 1");
            engine.run(rename);
            writer.run(
                    "INSERT INTO app.member VALUES (20, 1, 1); UPDATE app.member SET dues = 70 WHERE id = 3; DELETE FROM app.member WHERE id = 4");
            merger.number(MERGE_ALL);
            merger.number(MERGE_ALL);
            writer.run("UPDATE app.club SET name = 'late' WHERE id = 2; COMMIT");
            refresh();
            allAgree(rename);
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "ALTER SCHEMA kept RENAME TO held",
                "ALTER TABLE kept.fact RENAME TO facts",
                "ALTER TABLE kept.fact_delta RENAME TO other_delta",
                "ALTER TABLE app.club RENAME COLUMN id TO club_id",
                "ALTER MATERIALIZED VIEW kept.clubs RENAME TO circles"
            })
    void noWriterFailsWhileAMergeFollowsARename(String rename) throws Exception {
        try (Sql writer = engine.session();
                Sql merger = engine.session()) {
            writer.run("UPDATE app.club SET name = 'planned' WHERE name = 'one'"); // its plan holds the old names
            refresh();
            engine.run(rename);
            merger.run("BEGIN");
            merger.number(MERGE_ALL);
            CompletableFuture<Void> written = CompletableFuture.runAsync(() -> writer.run(
                    "INSERT INTO app.member VALUES (30, 2, 5); UPDATE app.club SET name = 'two!' WHERE name = 'two'"));
            Eventually.await(
                    "the writer waits or is done",
                    () -> written.isDone()
                            || engine.number(
                                            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'INSERT INTO app.member%' AND wait_event_type = 'Lock'")
                                    > 0,
                    seen -> seen);
            merger.run("COMMIT");
            written.get(30, TimeUnit.SECONDS);
            refresh();
            allAgree(rename);
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "REVOKE ALL ON SCHEMA kept FROM unlogged_owner; WRITE; GRANT ALL ON SCHEMA kept TO unlogged_owner",
                "REVOKE INSERT ON kept.team_delta FROM unlogged_owner; WRITE; GRANT INSERT ON kept.team_delta TO unlogged_owner"
            })
    void whatWasWrittenWhileTheOwnerMayNotLogItIsToldAndCompared(String closedAndOpened) {
        engine.run("""
                DO $$ BEGIN CREATE ROLE unlogged_owner; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
                GRANT countersink_owner TO unlogged_owner; GRANT ALL ON SCHEMA app, kept TO unlogged_owner;
                CREATE VIEW app.team_def AS SELECT id, dues FROM app.member;
                GRANT ALL ON ALL TABLES IN SCHEMA app TO unlogged_owner; ALTER TABLE app.member OWNER TO unlogged_owner;
                SET ROLE unlogged_owner; SELECT tally.keep('kept.team', 'app.team_def'); RESET ROLE""");
        refresh();
        String told = "SELECT count(*) FROM tally.health WHERE NOT ok AND view = 'kept.team'";
        assertThat(engine.number(told)).isZero();
        String[] steps = closedAndOpened.split("WRITE; ");
        engine.run(steps[0]);
        assertThat(engine.text("SELECT problem FROM tally.health WHERE NOT ok AND view = 'kept.team'"))
                .contains("unlogged_owner")
                .contains("GRANT");
        engine.run("INSERT INTO app.member VALUES (40, 1, 1); DELETE FROM app.member WHERE id = 2");
        engine.run(steps[1]);
        assertThat(engine.number(told)).isEqualTo(1);
        assertThat(engine.number("SELECT count(*) FROM tally.ready('{kept.team}')"))
                .isEqualTo(1);
        refresh();
        allAgree(closedAndOpened);
        assertThat(engine.number(told)).isZero();
    }

    @Test
    void aRollupOverATableThatHasJustBeenRenamedIsToldTo() {
        engine.run("ALTER TABLE kept.fact RENAME TO facts");
        String rollup =
                "SELECT tally.create_rollup('kept.more', 'kept.facts', '{club}', '{\"n\":\"count(*)\",\"dues\":\"sum(dues)\"}')";
        assertThatThrownBy(() -> engine.run(rollup))
                .hasStackTraceContaining("kept.facts has just been given another name.");
        engine.run("SELECT tally.merge('kept.facts')");
        engine.run(rollup);
        refresh();
        allAgree("a rollup over the new name");
    }

    /** A merge is about to give everything else the new name when the table gets its old one back. */
    @Test
    void aNameThatIsTakenBackWhileAMergeFollowsStays() throws Exception {
        boolean followed = false;
        try (Sql holder = engine.session();
                Sql merger = engine.session()) {
            long pid = merger.number("SELECT pg_backend_pid()");
            String index = engine.text(
                    "SELECT min(indexrelid::regclass::text) FROM pg_index WHERE indrelid = 'kept.fact_delta'::regclass");
            // the merge gives up if it waits for 500 ms, as it may on a slow machine
            for (int i = 0; i < 50 && !followed; i++) {
                engine.run("ALTER TABLE kept.fact RENAME TO facts");
                holder.run("BEGIN");
                holder.run("REINDEX INDEX " + index);
                CompletableFuture<String> error = CompletableFuture.supplyAsync(
                        () -> merger.text("SELECT coalesce(error, '') FROM tally.merge('kept.facts')"));
                Eventually.await(
                        "the merge waits or is done",
                        () -> error.isDone()
                                || engine.number("SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = " + pid)
                                        > 0,
                        seen -> seen);
                engine.run("ALTER TABLE kept.facts RENAME TO fact");
                holder.run("ROLLBACK");
                followed = error.get(30, TimeUnit.SECONDS).isEmpty();
            }
        }
        assertThat(followed).isTrue();
        assertThat(engine.text("SELECT to_regclass('kept.fact')::text")).isEqualTo("kept.fact");
        engine.run("INSERT INTO app.member VALUES (60, 1, 1)");
        refresh();
        assertThat(
                        engine.text(
                                "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class"
                                        + " WHERE relnamespace = 'kept'::regnamespace AND relname LIKE 'fact%' AND relkind IN ('r', 'v')"))
                .isEqualTo("fact fact_delta fact_live");
        allAgree("a name was taken back");
    }

    /** A long reader of a live view delays what a rename asks for, but no writer. */
    @Test
    void aReaderThatHoldsALiveViewKeepsNoWriterWaiting() throws Exception {
        try (Sql reader = engine.session();
                Sql writer = engine.session()) {
            reader.run("BEGIN; SELECT * FROM kept.fact_live; SELECT * FROM kept.sums_live");
            engine.run("ALTER SCHEMA kept RENAME TO held");
            assertThat(engine.text("SELECT error FROM tally.merge('held.fact')"))
                    .contains("could not be made anew within 500 ms");
            writer.run("SET lock_timeout = '5s'; INSERT INTO app.member VALUES (50, 2, 5)");
            reader.run("COMMIT");
            refresh();
            allAgree("the reader is done");
        }
    }

    /** Merges all views until nothing is left, also those that wait after an error. */
    private void refresh() {
        engine.run(
                "UPDATE tally.merge_state SET retry_at = NULL; SELECT tally.refresh(name) FROM tally.due() WHERE name NOT LIKE 'results.%'");
        engine.run("SELECT tally.refresh(name) FROM tally.due() WHERE name NOT LIKE 'results.%'");
    }

    private void allAgree(String after) {
        engine.liveAgrees(after);
        engine.storedAgrees(after);
        String snapshot =
                engine.text("SELECT name FROM tally.status WHERE kind = 'snapshot' AND name NOT LIKE 'results.%'");
        assertThat(engine.number("""
                SELECT count(*) FROM (TABLE %1$s EXCEPT SELECT club, count(*) FROM app.member GROUP BY club) d""".formatted(snapshot)))
                .as("%s after %s", snapshot, after)
                .isZero();
    }
}
