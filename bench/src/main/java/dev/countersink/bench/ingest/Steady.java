package dev.countersink.bench.ingest;

import dev.countersink.bench.BenchDatabase;
import dev.countersink.bench.engine.Aim;
import dev.countersink.bench.engine.Figure;
import dev.countersink.demo.Workload;
import java.sql.SQLException;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/** A steady rate: how long until a message is committed, and until it is in the stored count. */
final class Steady implements Scenario {
    private static final int RATE = 300;
    private static final int SECONDS = 60;
    /** Before the measurement, so that the code is compiled and the plans are made. */
    private static final int WARM_UP_SECONDS = 10;

    private static final int LEAST_WARM_UP_SECONDS = 1;

    private static final Aim COMMITTED = Aim.atMost(150);
    private static final Aim COUNTED = Aim.atMost(3000);
    /** So many messages are never committed before an older one: more than the program holds at once. */
    private static final int MOST_OUT_OF_ORDER = 5_000;

    private static final long POLL_NANOS = TimeUnit.MILLISECONDS.toNanos(2);

    @Override
    public String name() {
        return "steady";
    }

    @Override
    public String does() {
        return "300 messages a second for 60 s, after 10 s of the same to warm up: from the publication of a message to the moment at which another session sees its capture processed, "
                + "and to the moment at which the stored count shows it; merges every second. The ratio is the p99 in ms.";
    }

    @Override
    public int captures(Lab lab) {
        return RATE * seconds(lab) + warmUp(lab);
    }

    /** Messages before the measurement. */
    private static int warmUp(Lab lab) {
        return RATE * lab.scaled(WARM_UP_SECONDS, LEAST_WARM_UP_SECONDS);
    }

    private static int seconds(Lab lab) {
        return lab.scaled(SECONDS, 1);
    }

    @Override
    public List<Figure> run(Lab lab) throws Exception {
        int count = captures(lab);
        int warm = warmUp(lab);
        long[] published = new long[count];
        double[] committed = new double[count];
        double[] counted = new double[count];
        BenchDatabase database = lab.database();
        try (Instance instance = lab.instance(database, 0).start()) {
            Thread publisher = publisher(lab, published);
            publisher.start();
            int commits = 0;
            int counts = 0;
            while (counts < count) {
                commits = note(published, committed, commits, committed(instance, commits));
                counts = note(published, counted, counts, (int) instance.number("bench.processed()"));
                LockSupport.parkNanos(POLL_NANOS);
            }
            publisher.join();
        } finally {
            lab.purge();
            database.drop();
        }
        double[] commitMillis = Arrays.copyOfRange(committed, warm, count);
        double[] countMillis = Arrays.copyOfRange(counted, warm, count);
        return List.of(
                figure("to the commit", commitMillis, COMMITTED), figure("to the stored count", countMillis, COUNTED));
    }

    /** How many captures are committed, of which so many were before. It counts the latest only, so that it costs little. */
    private static int committed(Instance instance, int before) throws SQLException {
        int certain = Math.max(0, before - MOST_OUT_OF_ORDER);
        return certain
                + (int) instance.number(
                        "(SELECT count(*) FROM results.job_capture WHERE job_id = 1 AND capture_id > " + certain + ")");
    }

    private static Thread publisher(Lab lab, long[] published) {
        Workload workload = new Workload(1);
        String[] messages = new String[published.length];
        for (int i = 0; i < messages.length; i++) {
            messages[i] = workload.message(1 + i);
        }
        return new Thread(() -> {
            long start = System.nanoTime();
            for (int i = 0; i < messages.length; i++) {
                long due = start + i * (TimeUnit.SECONDS.toNanos(1) / RATE);
                while (System.nanoTime() < due) {
                    LockSupport.parkNanos(due - System.nanoTime());
                }
                published[i] = System.nanoTime();
                lab.publish(1, messages[i]);
            }
        });
    }

    /** The messages up to now are there: those that were not before have taken so long. */
    private static int note(long[] published, double[] millis, int seen, int now) {
        long time = System.nanoTime();
        for (int i = seen; i < now; i++) {
            millis[i] = (time - published[i]) / 1e6;
        }
        return Math.max(seen, now);
    }

    private static Figure figure(String what, double[] millis, Aim aim) {
        Arrays.sort(millis);
        double p99 = millis[(int) (millis.length * 0.99)];
        return new Figure(
                what,
                String.format(
                        Locale.ROOT,
                        "p50 %.0f ms, p99 %.0f ms, most %.0f ms",
                        millis[millis.length / 2],
                        p99,
                        millis[millis.length - 1]),
                p99,
                aim);
    }
}
