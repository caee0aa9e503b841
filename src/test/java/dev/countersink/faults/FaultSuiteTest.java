package dev.countersink.faults;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.countersink.db.Database;
import dev.countersink.ingest.Rig;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.TestPostgres;
import java.io.IOException;
import java.sql.Connection;
import java.sql.Statement;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * The service as a process, killed and cut off: afterwards every published message is applied once, or is a dead letter.
 * The short form is part of every build; {@code -Dcountersink.faults=long} kills more often.
 */
class FaultSuiteTest {
    private static final boolean LONG = "long".equals(System.getProperty("countersink.faults"));
    private static final int CAPTURES = 20_000;
    private static final Duration PATIENCE = Duration.ofMinutes(3);

    private Rig rig;
    private Published published;

    @BeforeEach
    void open() {
        assumeTrue(LONG || TestPostgres.version() >= 18, "the short form runs once, on the newest version");
        rig = new Rig();
        rig.seed(CAPTURES);
        published = new Published(rig);
    }

    @AfterEach
    void close() {
        if (rig != null) {
            rig.close();
        }
    }

    /** What the service is doing when it is killed. */
    enum Point {
        AFTER_FETCH,
        MID_COPY,
        BEFORE_COMMIT,
        BEFORE_ACK
    }

    @ParameterizedTest
    @EnumSource
    void killedAtANamedPointItLosesNothingAndDoesNothingTwice(Point point) throws Exception {
        assumeTrue(LONG || point == Point.BEFORE_COMMIT, "part of the long form");
        publish(200);
        try (FaultProxy database = new FaultProxy(FaultProxy.port(rig.database().url()));
                FaultProxy nats =
                        new FaultProxy(FaultProxy.port(rig.nats().settings().url()))) {
            switch (point) {
                case AFTER_FETCH -> database.holdAt("COPY pg_temp.");
                case MID_COPY -> database.holdAt("PGCOPY");
                case BEFORE_COMMIT -> rig.execute("""
                        CREATE FUNCTION results.hold() RETURNS trigger LANGUAGE plpgsql AS $$
                        BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END $$;
                        CREATE CONSTRAINT TRIGGER hold AFTER INSERT ON results.job_capture
                        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION results.hold()""");
                case BEFORE_ACK -> nats.holdAt("+ACK");
                default -> throw new IllegalArgumentException();
            }
            try (Connection holder = Database.connect(rig.database());
                    Statement statement = holder.createStatement()) {
                statement.execute("SELECT pg_advisory_lock(1)");
                try (ServiceProcess service = ServiceProcess.start(
                        database.through(rig.database()),
                        "nats://127.0.0.1:" + nats.port(),
                        rig.nats().settings().token())) {
                    if (point == Point.BEFORE_COMMIT) {
                        Eventually.await(
                                "a commit waits",
                                PATIENCE,
                                () -> rig.number("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
                                        + " AND NOT granted AND database = (SELECT oid FROM pg_database"
                                        + " WHERE datname = current_database())"),
                                waiting -> waiting > 0);
                    } else {
                        FaultProxy proxy = point == Point.BEFORE_ACK ? nats : database;
                        assertThat(proxy.reached().await(2, TimeUnit.MINUTES)).isTrue();
                    }
                    service.kill();
                }
            }
        }
        try (ServiceProcess service = start().awaitReady()) {
            verify();
            assertThat(service.terminate()).isZero();
        }
    }

    @Test
    void killedAtRandomItLosesNothingAndDoesNothingTwice() throws Exception {
        long seed = Long.getLong("countersink.seed", System.nanoTime());
        System.out.println("killedAtRandom: -Dcountersink.seed=" + seed);
        Random random = new Random(seed);
        int kills = LONG ? Integer.getInteger("countersink.faults.kills", 100) : 1;
        long worst = 0;
        for (int i = 0; i < kills; i++) {
            publish(150);
            long before = done();
            try (ServiceProcess service = start().awaitReady()) {
                worst = Math.max(worst, millisUntil(() -> done() > before));
                publish(40);
                LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(random.nextInt(500)));
                service.kill();
            }
        }
        System.out.printf(
                Locale.ROOT, "%d kills -9: first commit at most %d ms after the service was ready%n", kills, worst);
        try (ServiceProcess service = start().awaitReady()) {
            verify();
            assertThat(service.terminate()).isZero();
        }
    }

    @Test
    void aKilledNatsServerLosesNothingAndIsFoundAgain() throws Exception {
        int kills = LONG ? 20 : 5;
        long worst = 0;
        try (ServiceProcess service = start().awaitReady()) {
            for (int i = 0; i < kills; i++) {
                publish(100);
                rig.nats().kill();
                Eventually.await("readiness tells it", PATIENCE, service::readiness, status -> status == 503);
                rig.nats().restart();
                Eventually.await("the publisher is back", PATIENCE, rig::connected, connected -> connected);
                long before = done();
                publish(100);
                worst = Math.max(worst, millisUntil(() -> done() > before));
            }
            verify();
            System.out.printf(
                    Locale.ROOT, "%d kills -9 of nats-server: first commit at most %d ms after it%n", kills, worst);
            assertThat(service.terminate()).isZero();
        }
    }

    @Test
    void instancesThatDieTakeNothingWithThem() throws Exception {
        assumeTrue(LONG, "part of the long form");
        long seed = Long.getLong("countersink.seed", System.nanoTime());
        System.out.println("instancesThatDie: -Dcountersink.seed=" + seed);
        Random random = new Random(seed);
        int kills = 20;
        try (ServiceProcess stays = start().awaitReady()) {
            for (int i = 0; i < kills; i++) {
                try (ServiceProcess dies = start().awaitReady()) {
                    publish(300);
                    LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(random.nextInt(300)));
                    dies.kill();
                    publish(50);
                }
            }
            verify();
            assertThat(stays.terminate()).isZero();
        }
    }

    @Test
    void cutHalfClosedAndStalledConnectionsAreMadeAnew() throws Exception {
        try (FaultProxy database = new FaultProxy(FaultProxy.port(rig.database().url()));
                FaultProxy nats =
                        new FaultProxy(FaultProxy.port(rig.nats().settings().url()));
                ServiceProcess service = ServiceProcess.start(
                                database.through(rig.database()),
                                "nats://127.0.0.1:" + nats.port(),
                                rig.nats().settings().token())
                        .awaitReady()) {
            List<Runnable> faults = LONG
                    ? List.of(
                            database::cut,
                            database::halfClose,
                            database::stall,
                            nats::cut,
                            nats::halfClose,
                            nats::stall)
                    : List.of(database::cut, nats::stall);
            for (Runnable fault : faults) {
                publish(50);
                fault.run();
                publish(50);
                verify();
            }
            assertThat(service.log()).noneMatch(line -> line.startsWith("\tat "));
            assertThat(service.terminate()).isZero();
        }
    }

    /** Each writer is in the middle of a batch; nothing that it sends arrives any more, and no end of the connection either. */
    @Test
    void aWriterWhoseConnectionStallsGoesOnWithAnotherOne() throws Exception {
        try (FaultProxy database = new FaultProxy(FaultProxy.port(rig.database().url()));
                ServiceProcess service = ServiceProcess.start(
                                database.through(rig.database()),
                                rig.nats().settings().url(),
                                rig.nats().settings().token())
                        .awaitReady()) {
            publish(50);
            verify();
            long before = done();
            database.holdAt("apply_batch");
            publish(200);
            assertThat(database.reached().await(2, TimeUnit.MINUTES)).isTrue();
            long stalled = System.nanoTime();
            database.passOn();
            Eventually.await(
                    "all writers go on",
                    PATIENCE,
                    () -> log(service, "A connection to the database has stalled"),
                    n -> n > 0);
            Eventually.await("a commit", PATIENCE, () -> done() > before, done -> done);
            verify();
            System.out.printf(
                    Locale.ROOT,
                    "a stalled connection: all is applied %d ms after it%n",
                    TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - stalled));
            // A session that works is between two statements now and then.
            Eventually.await(
                    "the stalled sessions have ended",
                    PATIENCE,
                    () -> rig.number(
                            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                                    + " AND state LIKE 'idle in transaction%' AND state_change < clock_timestamp() - interval '1 s'"),
                    n -> n == 0);
            assertThat(service.terminate()).isZero();
        }
    }

    /** A statement that takes long is no stalled connection: it waits for a lock, and is not ended. */
    @Test
    void aWriterThatWaitsForALockIsLeftAlone() throws Exception {
        try (ServiceProcess service = start().awaitReady();
                Connection holder = Database.connect(rig.database());
                Statement statement = holder.createStatement()) {
            holder.setAutoCommit(false);
            statement.execute("LOCK TABLE results.detection IN SHARE MODE");
            publish(100);
            String waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                    + " AND wait_event_type = 'Lock' AND clock_timestamp() - state_change > interval '9 s'";
            Eventually.await("a writer has waited long", PATIENCE, () -> rig.number(waiting), n -> n > 0);
            holder.commit();
            verify();
            assertThat(log(service, "has stalled")).isZero();
            assertThat(service.terminate()).isZero();
        }
    }

    private static long log(ServiceProcess service, String text) throws IOException {
        return service.log().stream().filter(line -> line.contains(text)).count();
    }

    @Test
    void aDatabaseThatCannotWriteIsToldOnceAndServedAgainWhenItCan() throws Exception {
        String name = rig.rows("SELECT current_database()").get(0).get(0).toString();
        try (ServiceProcess service = start().awaitReady()) {
            rig.execute("ALTER DATABASE " + name + " SET default_transaction_read_only = on");
            Eventually.await("readiness tells it", service::readiness, status -> status == 503);
            // Executed in another database, because this one is read-only.
            TestPostgres.execute("ALTER DATABASE " + name + " RESET default_transaction_read_only");
            Eventually.await("readiness is back", service::readiness, status -> status == 200);
            publish(20);
            verify();
            assertThat(service.log())
                    .filteredOn(l -> l.contains("takes no batch"))
                    .hasSize(1);
            assertThat(service.log())
                    .filteredOn(l -> l.contains("takes batches again"))
                    .hasSize(1);
        }
    }

    private ServiceProcess start() throws IOException {
        return ServiceProcess.start(
                rig.database(),
                rig.nats().settings().url(),
                rig.nats().settings().token());
    }

    private void publish(int messages) throws Exception {
        published.publish(messages);
    }

    private long done() {
        return published.done();
    }

    private long millisUntil(Callable<Boolean> condition) {
        long start = System.nanoTime();
        Eventually.await("a commit", PATIENCE, condition, done -> done);
        return TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - start);
    }

    private void verify() {
        published.verify();
    }
}
