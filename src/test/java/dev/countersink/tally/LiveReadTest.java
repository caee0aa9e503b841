package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The cost of a {@code _live} read, with the server's default settings. */
class LiveReadTest {
    private final Engine engine = new Engine();

    @BeforeEach
    void fill() {
        engine.run("""
                CREATE TABLE app.club (id bigint PRIMARY KEY, name text);
                CREATE TABLE app.member (id bigint PRIMARY KEY, club_id bigint, score int);
                CREATE INDEX ON app.member (club_id);
                INSERT INTO app.club SELECT i, 'c' || i FROM generate_series(1, 1000) i;
                INSERT INTO app.member SELECT i, i % 1000 + 1, i % 10 FROM generate_series(1, 20000) i;
                CREATE VIEW app.club_def AS SELECT c.id, c.name, count(m.id) AS members, sum(m.score) AS score
                    FROM app.club c LEFT JOIN app.member m ON m.club_id = c.id GROUP BY c.id;
                SELECT tally.create_projection('app.fact', 'app.club_def', '{id}');
                SELECT tally.watch('app.fact', 'app.club', '{id}');
                SELECT tally.watch('app.fact', 'app.member', '{club_id}');
                SELECT tally.create_rollup('app.sizes', 'app.fact', '{members}', '{"clubs":"count(*)","s":"sum(score)","least":"min(name)"}');
                SELECT tally.activate('app.fact');
                SELECT tally.refresh('app.fact');
                CREATE VIEW app.seat_def AS SELECT m.id, c.name AS club, m.score FROM app.member m JOIN app.club c ON c.id = m.club_id;
                SELECT tally.create_projection('app.seat', 'app.seat_def', '{id}');
                SELECT tally.watch('app.seat', 'app.member', '{id}');
                SELECT tally.watch('app.seat', 'app.club', '{id}', 'SELECT m.id FROM app.member m JOIN changed c ON c.id = m.club_id');
                SELECT tally.create_rollup('app.seats', 'app.seat', '{club,score}', '{"n":"count(*)"}');
                SELECT tally.create_rollup('app.scores', 'app.seats', '{club}', '{"n":"sum(n)","top":"max(score)"}');
                SELECT tally.activate('app.seat');
                SELECT tally.refresh('app.seat');
                CREATE INDEX ON app.club (name);
                CREATE FUNCTION app.cost_of(query text) RETURNS bigint LANGUAGE plpgsql AS $$
                DECLARE plan json; BEGIN EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan; RETURN (plan -> 0 -> 'Plan' ->> 'Total Cost')::numeric; END $$;
                ANALYZE""");
    }

    @AfterEach
    void close() throws Exception {
        engine.close();
    }

    @Test
    void nothingIsReadFromSourcesWhenNothingIsPending() {
        for (String view : List.of("fact", "sizes", "seat", "seats", "scores")) {
            assertThat(rowsRead("SELECT count(*) FROM app.%s_live".formatted(view)))
                    .as(view)
                    .isZero();
        }
    }

    @Test
    void onlyPendingKeysAreEvaluated() {
        engine.run("UPDATE app.member SET score = 100 WHERE id IN (1, 1001, 7, 8)");
        assertThat(rowsRead("SELECT * FROM app.fact_live WHERE id = 2")).isBetween(1L, 100L);
        assertThat(rowsRead("SELECT * FROM app.sizes_live WHERE members = 20")).isBetween(1L, 200L);
        assertThat(rowsRead("SELECT * FROM app.scores_live")).isBetween(1L, 20L);
        assertThat(rowsRead("SELECT * FROM app.club_def")).isGreaterThan(20000);
        assertThat(engine.number("SELECT score FROM app.fact_live WHERE id = 2"))
                .isEqualTo(engine.number("SELECT score FROM app.club_def WHERE id = 2"))
                .isGreaterThan(200);
        engine.liveAgrees("four updates");
    }

    @Test
    void aReadByKeyEvaluatesNothingElse() {
        engine.run("UPDATE app.member SET score = score + 1 WHERE id <= 4000");
        assertThat(rowsRead("SELECT * FROM app.fact_live_at(2)")).isBetween(1L, 30L);
        assertThat(rowsRead("SELECT * FROM app.seat_live_at(4001)")).isZero();
        assertThat(rowsRead("SELECT * FROM app.seat_live_at(4000)")).isBetween(1L, 20L);
        assertThat(rowsRead("SELECT * FROM app.seats_live_at('c7', 8)")).isBetween(1L, 100L);
        assertThat(rowsRead("SELECT * FROM app.scores_live_at('c7')")).isBetween(1L, 100L);
        engine.liveAgrees("many updates");
    }

    @Test
    void aReadIsPlannedCheaply() {
        engine.run("UPDATE app.member SET score = score + 1 WHERE id <= 10");
        for (String view : List.of("fact", "sizes", "seat", "seats", "scores")) {
            assertThat(cost("TABLE app.%s_live".formatted(view)))
                    .as(view)
                    .isLessThan(engine.number("SHOW jit_above_cost") / 10);
        }
    }

    @Test
    void whileASweepIsPendingTheDefinitionIsReadOnce() {
        engine.run("SELECT tally.rebuild('app.seat')");
        assertThat(rowsRead("SELECT count(*) FROM app.seat_live")).isBetween(20000L, 42000L);
        assertThat(rowsRead("SELECT count(*) FROM app.scores_live")).isBetween(20000L, 42000L);
        assertThat(rowsRead("SELECT * FROM app.seat_live_at(7)")).isBetween(1L, 20L);
        assertThat(rowsRead("SELECT * FROM app.scores_live_at('c7')")).isBetween(1L, 100L);
        engine.liveAgrees("rebuild");
        engine.run("SELECT tally.merge('app.seat', 500); UPDATE app.member SET score = 3 WHERE id IN (20, 19000)");
        engine.liveAgrees("a part of the sweep");
        engine.run("UPDATE app.member SET score = score + 1");
        engine.liveAgrees("every row");
    }

    /** The planner's cost of the whole plan. */
    private long cost(String query) {
        return engine.number("SELECT app.cost_of('%s')".formatted(query));
    }

    /** How many rows of the sources a query reads, including its functions. */
    private long rowsRead(String query) {
        String count = """
                SELECT coalesce(sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)), 0)::bigint
                FROM pg_stat_xact_user_tables WHERE schemaname = 'app' AND relname IN ('member', 'club')""";
        engine.run("BEGIN");
        long before = engine.number(count);
        engine.run(query);
        long after = engine.number(count);
        engine.run("COMMIT");
        return after - before;
    }
}
