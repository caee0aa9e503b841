package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.countersink.testing.Eventually;
import dev.countersink.testing.Sql;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Functions that lock sources do not block others for long, and make no writer the victim of a deadlock. */
class LocksTest {
    private final Engine engine = new Engine();

    LocksTest() {
        engine.run("""
                CREATE TABLE app.t (id int PRIMARY KEY, v int); CREATE TABLE app.u (id int PRIMARY KEY, v int);
                INSERT INTO app.t VALUES (1, 1); INSERT INTO app.u VALUES (1, 1);
                CREATE VIEW app.f_def AS SELECT t.id, t.v + u.v AS v FROM app.t JOIN app.u USING (id);
                SELECT tally.create_projection('app.f', 'app.f_def', '{id}');
                SELECT tally.watch('app.f', 'app.t', '{id}'); SELECT tally.watch('app.f', 'app.u', '{id}');
                SELECT tally.activate('app.f'); SELECT tally.refresh('app.f')""");
    }

    @AfterEach
    void close() throws Exception {
        engine.close();
    }

    @ParameterizedTest
    @ValueSource(strings = {"drop", "heal"})
    void othersGoOnWhileItWaitsForATransactionThatHoldsASource(String verb) throws Exception {
        try (Sql holder = engine.session();
                Sql waiting = engine.session();
                Sql other = engine.session()) {
            holder.run("BEGIN; LOCK TABLE app.u IN ROW EXCLUSIVE MODE");
            waiting.run("SET lock_timeout = '20s'");
            CompletableFuture<Void> done =
                    CompletableFuture.runAsync(() -> waiting.run("SELECT tally.%s('app.f')".formatted(verb)));
            Eventually.await(
                    "a wait for the lock",
                    () -> engine.number(
                            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT tally.%' AND wait_event_type IN ('Lock', 'Timeout')"),
                    n -> n > 0);
            // each waits at most behind one attempt of 100 ms
            other.run("SET lock_timeout = '3s'; SET deadlock_timeout = '1s'");
            for (int i = 0; i < 5; i++) {
                other.run(
                        "BEGIN; UPDATE app.u SET v = v + 1; UPDATE app.t SET v = v + 1; COMMIT; SELECT count(*) FROM app.f");
            }
            assertThat(done).isNotDone();
            holder.run("COMMIT");
            done.get(30, java.util.concurrent.TimeUnit.SECONDS);
        }
    }

    /** Another version of a collation may order and hash otherwise, so indexes are rebuilt; those of a delta table are on numbers. */
    @Test
    void aChangedCollationWaitsForNoWriterAtWork() throws Exception {
        String files =
                "SELECT string_agg(pg_relation_filenode(indexrelid)::text, ' ' ORDER BY indexrelid) FROM pg_index WHERE indrelid = '%s'::regclass";
        String kept = engine.text(files.formatted("app.f"));
        String logged = engine.text(files.formatted("app.f_delta"));
        try (Sql writer = engine.session();
                Sql other = engine.session()) {
            writer.run("BEGIN; UPDATE app.t SET v = 5");
            engine.run("UPDATE tally.fingerprint SET collations = 'of another library', glance = ''");
            engine.run("SET statement_timeout = '5s'");
            assertThat(engine.text("SELECT outcome || coalesce(error, '') FROM tally.merge('app.f')"))
                    .isEqualTo("merged");
            assertThat(engine.text(files.formatted("app.f"))).isNotEqualTo(kept);
            assertThat(engine.text(files.formatted("app.f_delta"))).isEqualTo(logged);
            other.run("SET lock_timeout = '1s'; UPDATE app.u SET v = 7");
            writer.run("COMMIT");
        }
        engine.write("SELECT 1");
        assertThat(engine.text("SELECT v FROM app.f")).isEqualTo("12");
    }

    @Test
    void itGivesUpInASentence() throws Exception {
        try (Sql holder = engine.session()) {
            holder.run("BEGIN; LOCK TABLE app.u IN ROW EXCLUSIVE MODE");
            engine.run("SET lock_timeout = '300ms'");
            assertThat(engine.refused("TL015", "SELECT tally.drop('app.f')")).contains("app.u");
            assertThat(engine.text("SHOW lock_timeout")).isEqualTo("300ms");
            holder.run("COMMIT");
        }
        engine.run("SELECT tally.drop('app.f')");
        assertThatThrownBy(() -> engine.run("SELECT 1 FROM app.f")).hasMessageContaining("app.f");
    }
}
