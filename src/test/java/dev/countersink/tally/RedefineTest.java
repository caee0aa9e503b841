package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.countersink.testing.Eventually;
import dev.countersink.testing.Sql;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** A projection gets another definition while it is read and written. */
class RedefineTest {
    private static final String NAMES_LEFT = """
            SELECT coalesce(string_agg(what, ', ' ORDER BY what), '-') FROM (
                SELECT relname AS what FROM pg_class WHERE relnamespace = 'app'::regnamespace
                UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'app'::regnamespace
                UNION ALL SELECT typname FROM pg_type WHERE typnamespace = 'app'::regnamespace
                UNION ALL SELECT prosrc FROM pg_proc WHERE pronamespace = 'app'::regnamespace
                UNION ALL SELECT tgname FROM pg_trigger
                UNION ALL SELECT description FROM pg_description WHERE classoid IN ('pg_class'::regclass, 'pg_proc'::regclass) AND description LIKE '%app.%'
                UNION ALL SELECT pg_get_viewdef(oid) FROM pg_class WHERE relkind = 'v' AND relnamespace = 'app'::regnamespace) x
            WHERE what LIKE '%\\_next%'""";

    private final Engine engine = new Engine();

    RedefineTest() {
        engine.run("""
                CREATE TABLE app.club (id bigint PRIMARY KEY, threshold int, name text);
                CREATE TABLE app.member (id bigint PRIMARY KEY, club_id bigint REFERENCES app.club ON DELETE CASCADE, score int, tag text);
                CREATE INDEX ON app.member (club_id);
                CREATE VIEW app.fact_def AS SELECT m.id AS member_id, m.club_id, m.tag, m.score, m.score >= c.threshold AS good
                    FROM app.member m LEFT JOIN app.club c ON c.id = m.club_id;
                CREATE VIEW app.fact_def2 AS SELECT m.id AS member_id, m.club_id, upper(m.tag) AS tag, m.score * 2 AS score, m.score >= c.threshold AS good, c.name
                    FROM app.member m LEFT JOIN app.club c ON c.id = m.club_id;
                SELECT tally.create_projection('app.fact', 'app.fact_def', '{member_id}');
                SELECT tally.watch('app.fact', 'app.member', '{id}');
                -- what the projection stores tells which members a club had
                SELECT tally.watch('app.fact', 'app.club', '{id}',
                    'SELECT member_id FROM app.fact JOIN changed c ON c.id = club_id UNION SELECT fact.member_id FROM app.fact JOIN changed ON changed.id = fact.club_id');
                SELECT tally.create_rollup('app.tags', 'app.fact', '{club_id,tag}',
                    '{"n":"count(*)","s":"sum(score)","lo":"min(score)","d":"count(distinct score)"}', 'good');
                SELECT tally.create_rollup('app.sizes', 'app.tags', '{n}', '{"clubs":"count(*)"}');
                INSERT INTO app.club SELECT i, 5, 'c' || i FROM generate_series(1, 20) i;
                INSERT INTO app.member SELECT i, nullif(i % 21, 0), i % 11, CASE WHEN i % 7 = 0 THEN NULL ELSE 't' || i % 7 END FROM generate_series(1, 2000) i;
                SELECT tally.activate('app.fact');
                CREATE INDEX tagged ON app.fact (tag);
                """);
        engine.write("SELECT 1");
    }

    @AfterEach
    void close() throws Exception {
        engine.close();
    }

    @Test
    void readersSeeTheOldDefinitionUntilTheNewOneIsVerifiedAndRollupsFollow() {
        engine.run("SELECT tally.redefine('app.fact', 'app.fact_def2')");
        engine.run("SELECT tally.redefine('app.fact', 'app.fact_def2')"); // a second call does nothing
        long highest = engine.number("SELECT max(score) FROM app.fact");
        int merges = 0;
        while (engine.number("SELECT count(*) FROM tally.status WHERE name = 'app.fact_next'") == 1) {
            assertThat(engine.number("SELECT max(score) FROM app.fact")).isEqualTo(highest);
            engine.run(
                    "UPDATE app.member SET tag = 'x' || id %% 5 WHERE id %% 97 = %d; UPDATE app.club SET threshold = threshold + 1 WHERE id = %d"
                            .formatted(merges % 97, merges % 20 + 1));
            engine.run("SELECT tally.merge('app.fact', 400)");
            engine.liveAgrees("merge " + merges);
            assertThat(merges++).as("merges until the swap").isLessThan(60);
        }
        assertThat(merges).as("merges until the swap").isGreaterThan(5);
        assertThat(engine.number("SELECT max(score) FROM app.fact")).isEqualTo(2 * highest);
        assertThat(engine.text("SELECT name FROM app.fact_live WHERE member_id = 3"))
                .isEqualTo("c3");
        engine.write(
                "UPDATE app.club SET threshold = 2 WHERE id < 9",
                "DELETE FROM app.club WHERE id = 7",
                "UPDATE app.member SET club_id = NULL, tag = NULL WHERE id % 10 = 0",
                "TRUNCATE app.member");
        assertThat(engine.text(NAMES_LEFT)).isEqualTo("-");
    }

    @Test
    void howASessionQuotesNamesDoesNotMatter() {
        engine.run("SET quote_all_identifiers = on; SELECT tally.redefine('app.fact', 'app.fact_def2')");
        engine.run("RESET quote_all_identifiers; SELECT tally.refresh('app.fact')");
        assertThat(engine.text("SELECT name FROM app.fact WHERE member_id = 3")).isEqualTo("c3");
        engine.write("UPDATE app.club SET threshold = 2 WHERE id < 9", "DELETE FROM app.club WHERE id = 7");
    }

    @Test
    void grantsIndexesScheduleAndStatisticsStay() {
        engine.run("""
                GRANT SELECT ON app.fact, app.tags_live TO PUBLIC; CREATE UNIQUE INDEX mine ON app.fact (tag, member_id);
                CREATE INDEX gone ON app.fact ((good IS TRUE));
                UPDATE tally.derived_view SET interval_ms = 2500 WHERE relation_name = 'fact' AND schema_name = 'app'""");
        engine.run(
                "CREATE VIEW app.narrow AS SELECT member_id, club_id, tag, score, good::int AS good_, true AS good FROM app.fact_def2");
        engine.run("SELECT tally.redefine('app.fact', 'app.narrow'); SELECT tally.refresh('app.fact')");
        assertThat(engine.text("""
                SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_index JOIN pg_class c ON c.oid = indexrelid
                WHERE indrelid = 'app.fact'::regclass AND relname !~ '^tally_'""")).isEqualTo("fact_member_id_idx gone mine tagged");
        assertThat(
                        engine.text(
                                "SELECT concat(has_table_privilege('countersink_reader', 'app.fact', 'SELECT'), has_table_privilege('countersink_reader', "
                                        + "'app.tags_live', 'SELECT'), has_table_privilege('countersink_reader', 'app.sizes_state', 'SELECT'))"))
                .isEqualTo("ttf");
        assertThat(
                        engine.number(
                                "SELECT interval_ms FROM tally.derived_view WHERE relation_name = 'fact' AND schema_name = 'app'"))
                .isEqualTo(2500);
        engine.storedAgrees("the swap");
    }

    @Test
    void aTableThatOnlyTheNewDefinitionReadsIsWatchedFirst() {
        engine.run("""
                CREATE TABLE app.note (member_id bigint PRIMARY KEY, body text);
                INSERT INTO app.note VALUES (4, 'four');
                CREATE VIEW app.noted AS SELECT f.*, n.body FROM app.fact_def f LEFT JOIN app.note n USING (member_id)""");
        assertThat(engine.refused("TL007", "SELECT tally.redefine('app.fact', 'app.noted')"))
                .contains("app.note");
        engine.run("SELECT tally.watch('app.fact', 'app.note', '{member_id}')");
        engine.write("INSERT INTO app.note VALUES (5, 'five')", "UPDATE app.member SET score = 0 WHERE id = 4");
        engine.run("SELECT tally.redefine('app.fact', 'app.noted')");
        engine.write("SELECT 1", "UPDATE app.note SET body = 'changed'", "DELETE FROM app.note WHERE member_id = 4");
        assertThat(engine.text("SELECT body FROM app.fact WHERE member_id = 5")).isEqualTo("changed");
    }

    @Test
    void whatCannotTakeThePlaceIsRefused() {
        engine.run("""
                CREATE VIEW app.retyped AS SELECT member_id::int, club_id, tag, score, good FROM app.fact_def;
                CREATE VIEW app.keyless AS SELECT club_id, tag, score, good FROM app.fact_def;
                CREATE VIEW app.tagless AS SELECT member_id, club_id, score, good FROM app.fact_def""");
        engine.refused("TL004", "SELECT tally.redefine('app.tags', 'app.fact_def2')");
        engine.refused("TL004", "SELECT tally.redefine('app.fact', 'app.member')");
        engine.refused("TL006", "SELECT tally.redefine('app.fact', 'app.retyped')");
        engine.refused("TL006", "SELECT tally.redefine('app.fact', 'app.keyless')");
        engine.refused("TL006", "SELECT tally.redefine('app.fact', 'app.tagless')");
        engine.run("CREATE VIEW app.on_top AS SELECT count(*) FROM app.tags_live");
        assertThat(engine.refused("TL017", "SELECT tally.redefine('app.fact', 'app.fact_def2')"))
                .contains("app.on_top");
        engine.run("DROP VIEW app.on_top; SELECT tally.redefine('app.fact', 'app.fact_def2')");
        engine.refused("TL005", "SELECT tally.redefine('app.fact_next', 'app.fact_def')");
        engine.refused("TL005", "SELECT tally.watch('app.fact_next', 'app.club', '{id}')");
    }

    @Test
    void whatIsBuiltOnItMeanwhileHoldsTheSwapBackAndIsNamed() {
        engine.run(
                "SELECT tally.redefine('app.fact', 'app.fact_def2'); CREATE VIEW app.on_top AS SELECT count(*) FROM app.tags");
        engine.run("SELECT tally.refresh('app.fact')");
        assertThat(engine.text("SELECT error FROM tally.status WHERE name = 'app.fact_next'"))
                .contains("app.on_top");
        engine.write("UPDATE app.member SET score = score + 1 WHERE id < 99");
        engine.run("DROP VIEW app.on_top; SELECT 1");
        engine.write("SELECT 1");
        assertThat(engine.number("SELECT count(name) FROM app.fact")).isPositive();
    }

    @Test
    void itIsGivenUpByADropAndBegunAnewByAnotherDefinition() {
        engine.run(
                "SELECT tally.redefine('app.fact', 'app.fact_def2'); SELECT tally.merge('app.fact', 100); SELECT tally.drop('app.fact_next')");
        assertThat(engine.text(NAMES_LEFT)).isEqualTo("-");
        engine.write("UPDATE app.member SET score = 4 WHERE id < 100");
        engine.run(
                "CREATE VIEW app.fact_def3 AS SELECT member_id, club_id, tag, score + 1 AS score, good FROM app.fact_def");
        engine.run(
                "SELECT tally.redefine('app.fact', 'app.fact_def2'); SELECT tally.merge('app.fact', 100); SELECT tally.redefine('app.fact', 'app.fact_def3')");
        engine.write("SELECT 1", "UPDATE app.member SET score = 1 WHERE id < 10");
        assertThat(
                        engine.text(
                                "SELECT definition::text FROM tally.derived_view WHERE relation_name = 'fact' AND schema_name = 'app'"))
                .isEqualTo("app.fact_def3");
        engine.run("SELECT tally.redefine('app.fact', 'app.fact_def2'); SELECT tally.drop('app.fact')");
        assertThat(engine.text(NAMES_LEFT)).isEqualTo("-");
    }

    @Test
    void rollupsMadeOrDroppedMeanwhileFollowToo() {
        engine.run("""
                SELECT tally.redefine('app.fact', 'app.fact_def2'); SELECT tally.merge('app.fact', 500);
                SELECT tally.drop('app.sizes'); SELECT tally.create_rollup('app.by_tag', 'app.fact', '{tag}', '{"hi":"max(score)"}')""");
        engine.write("UPDATE app.member SET score = score + 3 WHERE id < 300");
        assertThat(
                        engine.text(
                                "SELECT string_agg(relation_name, ' ' ORDER BY relation_name) FROM tally.derived_view WHERE serves_id IS NULL AND schema_name = 'app'"))
                .isEqualTo("by_tag fact tags");
        assertThat(engine.number("SELECT max(hi) FROM app.by_tag")).isEqualTo(2 * 13);
        assertThat(engine.text(NAMES_LEFT)).isEqualTo("-");
    }

    @Test
    void aReplacementThatDiffersFromItsDefinitionIsNotPutInPlace() {
        // nothing tells which keys a change of a threshold affects
        engine.run("""
                CREATE TABLE app.rate (id int PRIMARY KEY, rate int); INSERT INTO app.rate VALUES (1, 1);
                CREATE VIEW app.rated AS SELECT member_id, club_id, tag, score * (SELECT rate FROM app.rate) AS score, good FROM app.fact_def;
                SELECT tally.watch('app.fact', 'app.rate', '{id}', 'SELECT id::bigint FROM changed WHERE false');
                SELECT tally.redefine('app.fact', 'app.rated'); SELECT tally.merge('app.fact', 1500)""");
        engine.run("UPDATE app.rate SET rate = 7; SELECT tally.refresh('app.fact')");
        assertThat(engine.text("SELECT error_sqlstate FROM tally.status WHERE name = 'app.fact_next'"))
                .isEqualTo("TL020");
        assertThat(
                        engine.text(
                                "SELECT definition::text FROM tally.derived_view WHERE relation_name = 'fact' AND schema_name = 'app'"))
                .isEqualTo("app.fact_def");
    }

    @Test
    void theSwapGivesWayToATransactionThatHoldsASource() throws Exception {
        engine.run("SELECT tally.redefine('app.fact', 'app.fact_def2')");
        try (Sql writer = engine.session()) {
            writer.run("BEGIN; UPDATE app.member SET score = 10 WHERE id = 1");
            engine.run("SELECT tally.refresh('app.fact')");
            assertThat(engine.text("SELECT error_sqlstate || error FROM tally.status WHERE name = 'app.fact_next'"))
                    .startsWith("TL015");
            engine.liveAgrees("a swap that gave way");
            writer.run("COMMIT");
        }
        engine.write("SELECT 1");
        assertThat(engine.number("SELECT score FROM app.fact WHERE member_id = 1"))
                .isEqualTo(20);
    }

    @Test
    void whoWaitsForAMergeDoesNotHoldTheSwapBack() throws Exception {
        try (Sql waiter = engine.session()) {
            engine.run("SELECT tally.redefine('app.fact', 'app.fact_def2')");
            Eventually.await(
                    "the verification",
                    () -> engine.number("SELECT count(*) FROM tally.merge('app.fact')")
                            * engine.number(
                                    "SELECT count(verified_at) FROM tally.derived_view WHERE relation_name = 'fact_next'"),
                    verified -> verified == 1);
            engine.run("UPDATE app.member SET score = 50 WHERE id = 1");
            String token = engine.text("SELECT max(tally_xid) FROM app.fact_delta");
            CompletableFuture<Void> waiting = CompletableFuture.runAsync(
                    () -> waiter.run("SELECT tally.wait_for('app.tags', '%s')".formatted(token)));
            Eventually.await(
                    "the wait",
                    () -> engine.number(
                            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT tally.wait_for(%' AND wait_event = 'PgSleep'"),
                    n -> n > 0);
            engine.run("SELECT tally.merge('app.fact')");
            waiting.get();
        }
        assertThat(engine.text(NAMES_LEFT)).isEqualTo("-");
        assertThat(engine.number("SELECT score FROM app.fact WHERE member_id = 1"))
                .isEqualTo(100);
    }

    @Test
    void interruptedAnywhereItGoesOnWhereItWas() {
        int interrupted = 0;
        for (int patience = 1;
                engine.number(
                                "SELECT count(*) FROM tally.derived_view WHERE definition = 'app.fact_def2'::regclass AND relation_name = 'fact'")
                        == 0;
                patience++) {
            assertThat(patience).isLessThan(200);
            int timeout = patience * 5 + patience * patience / 10; // up to 5 s: a busy machine gets there too
            for (String call : new String[] {
                "SELECT tally.redefine('app.fact', 'app.fact_def2')", "SELECT tally.merge('app.fact', 700)"
            }) {
                try {
                    engine.run("SET statement_timeout = %d; %s".formatted(timeout, call));
                } catch (IllegalStateException e) {
                    assertThat(e).rootCause().hasMessageContaining("canceling statement due to statement timeout");
                    interrupted++;
                }
                engine.run("SET statement_timeout = '30s'");
            }
            engine.liveAgrees("being interrupted after %d ms".formatted(timeout));
            engine.run("UPDATE app.member SET score = %d WHERE id = %d".formatted(patience, patience));
        }
        assertThat(interrupted).isPositive();
        engine.write("UPDATE app.club SET threshold = 0 WHERE id < 5");
        assertThat(engine.text(NAMES_LEFT)).isEqualTo("-");
    }

    @Test
    void writersGoOnThroughAllOfIt() throws Exception {
        try (Sql writer = engine.session();
                Sql watcher = engine.session()) {
            CompletableFuture<Integer> writes = new CompletableFuture<>();
            Thread thread = new Thread(() -> {
                int n = 0;
                try {
                    while (filling(writer)) {
                        writer.run("UPDATE app.member SET score = (score + 1) %% 13 WHERE id %% 50 = %d"
                                .formatted(n % 50));
                        n++;
                    }
                    writes.complete(n);
                } catch (RuntimeException e) {
                    writes.completeExceptionally(e);
                }
            });
            engine.run("SELECT tally.redefine('app.fact', 'app.fact_def2')");
            thread.start();
            Eventually.await(
                    "the swap",
                    () -> {
                        engine.run("SELECT tally.merge('app.fact')");
                        return filling(watcher);
                    },
                    left -> !left);
            assertThat(writes.get()).isPositive();
            thread.join();
        }
        engine.write("SELECT 1");
    }

    @Test
    void whoWaitsForTheSwapThenMeansTheNewOne() throws Exception {
        for (String call : new String[] {
            "SELECT 1 / (count(*) = 0)::int FROM tally.verify('app.fact')",
            "SELECT 1 / (tally.repair('app.fact') = 0)::int",
            "SELECT tally.rebuild('app.tags')",
            "SELECT tally.pause('app.fact'), tally.resume('app.fact')",
            "SELECT tally.pause('app.fact')",
            "SELECT tally.heal('app.fact')",
            "SELECT tally.create_rollup('app.added', 'app.fact', '{tag}', '{\"hi\":\"max(score)\"}')",
            "SELECT tally.drop('app.added')"
        }) {
            try (Sql swapper = engine.session();
                    Sql other = engine.session()) {
                swapNotYetCommitted(swapper);
                CompletableFuture<Void> waiting = CompletableFuture.runAsync(() -> other.run(call));
                Eventually.await(
                        call + " waits",
                        () -> swapper.number(
                                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"),
                        n -> n == 1);
                swapper.run("COMMIT");
                waiting.get();
            }
            if (call.equals("SELECT tally.pause('app.fact')")) {
                assertThat(engine.text("SELECT state FROM tally.status WHERE name = 'app.fact'"))
                        .isEqualTo("paused");
                engine.run("SELECT tally.resume('app.fact')");
            }
            engine.write("UPDATE app.member SET score = score % 7 + 1, tag = 'x' WHERE id % 9 = 0");
            assertThat(engine.number("SELECT count(*) FROM tally.health WHERE NOT ok"))
                    .as(call)
                    .isZero();
        }
        assertThat(engine.number("SELECT count(*) FROM tally.derived_view WHERE relation_name = 'added'"))
                .isZero();
    }

    @Test
    void aRollupMadeAfterTheVerificationIsNotEmptyForAnOlderSnapshot() throws Exception {
        try (Sql reader = engine.session()) {
            redefineAndVerify();
            engine.run("SELECT tally.create_rollup('app.by_tag', 'app.fact', '{tag}', '{\"hi\":\"max(score)\"}')");
            reader.run("BEGIN ISOLATION LEVEL REPEATABLE READ");
            reader.number("SELECT count(*) FROM pg_class");
            for (int i = 0; i < 4; i++) {
                engine.run("SELECT tally.refresh('app.fact')");
            }
            assertThat(reader.number("SELECT count(*) FROM app.by_tag_live")).isEqualTo(7);
            reader.run("COMMIT");
        }
        engine.write("SELECT 1");
        assertThat(engine.number("SELECT max(hi) FROM app.by_tag")).isEqualTo(20);
    }

    @Test
    void verifyWithASnapshotFromBeforeTheSwapSaysSo() throws Exception {
        try (Sql swapper = engine.session();
                Sql reader = engine.session()) {
            redefineAndVerify();
            reader.run("BEGIN ISOLATION LEVEL REPEATABLE READ");
            reader.number("SELECT count(*) FROM pg_class"); // not of a source, whose lock would hold the swap back
            swapNotYetCommitted(swapper);
            swapper.run("COMMIT");
            assertThat(reader.number("SELECT count(*) FROM app.fact_live WHERE name = 'c3'"))
                    .isPositive();
            assertThatThrownBy(() -> reader.number("SELECT count(*) FROM tally.verify('app.fact')"))
                    .rootCause()
                    .hasMessageContaining("app.fact was redefined after the snapshot");
        }
    }

    private void redefineAndVerify() {
        engine.run("SELECT tally.redefine('app.fact', 'app.fact_def2')");
        Eventually.await(
                "the verification",
                () -> {
                    engine.run("SELECT tally.merge('app.fact')");
                    return engine.number("SELECT count(*) FROM tally.derived_view WHERE verified_at IS NOT NULL");
                },
                n -> n == 1);
    }

    /** In an open transaction, the definition that is not in use replaces the other. */
    private void swapNotYetCommitted(Sql swapper) {
        if (!filling(swapper)) {
            engine.run(
                    "SELECT tally.redefine('app.fact', (SELECT CASE definition::text WHEN 'app.fact_def' THEN 'app.fact_def2' ELSE 'app.fact_def' END::regclass FROM tally.derived_view WHERE relation_name = 'fact' AND schema_name = 'app'))");
        }
        Eventually.await(
                "the swap",
                () -> {
                    swapper.run("BEGIN; SELECT tally.merge('app.fact')");
                    boolean left = filling(swapper);
                    if (left) {
                        swapper.run("COMMIT");
                    }
                    return left;
                },
                left -> !left);
    }

    private static boolean filling(Sql session) {
        return session.number("SELECT count(*) FROM tally.derived_view WHERE relation_name = 'fact_next'") == 1;
    }
}
