package dev.countersink.bench;

import dev.countersink.embedded.Servers;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.Arrays;
import java.util.Locale;

/**
 * The same writes to base tables with and without triggers, in turn. Batches have 1,000 detections (each with an occurrence
 * and two classifications) or one. Both databases are on the same server, and nothing is merged during the measurement.
 */
final class WriteOverheadBench {
    private static final int ROUNDS = 25;
    private static final int SINGLES = 300;
    private static final int BATCH = 1000;

    private final Servers servers;

    WriteOverheadBench(Servers servers) {
        this.servers = servers;
    }

    void run() throws SQLException {
        BenchDatabase kept = BenchDatabase.seeded(servers.db(), 2000);
        BenchDatabase plain = kept.plainTwin();
        try (Connection with = kept.connect();
                Connection without = plain.connect()) {
            measure("1,000 detections a transaction", with, without, 1, BATCH);
            measure("one detection a transaction", with, without, SINGLES, 1);
        }
    }

    private static void measure(String what, Connection with, Connection without, int calls, int detections)
            throws SQLException {
        double[] ratios = new double[ROUNDS];
        double[] triggered = new double[ROUNDS];
        for (int round = -3; round < ROUNDS; round++) { // three to warm up
            int salt = (detections == 1 ? 1_000_000 : 1000) + (round + 3) * calls;
            double withTriggers;
            double withoutTriggers;
            if (round % 2 == 0) {
                withTriggers = seconds(with, calls, detections, salt);
                withoutTriggers = seconds(without, calls, detections, salt);
            } else {
                withoutTriggers = seconds(without, calls, detections, salt);
                withTriggers = seconds(with, calls, detections, salt);
            }
            if (round >= 0) {
                ratios[round] = withoutTriggers / withTriggers;
                triggered[round] = calls * (double) detections / withTriggers;
            }
        }
        Arrays.sort(ratios);
        Arrays.sort(triggered);
        System.out.printf(
                Locale.ROOT,
                "%s: speed with triggers / without, pair by pair: median %.3f (min %.3f, max %.3f); with: %,.0f detections/s%n",
                what,
                ratios[ROUNDS / 2],
                ratios[0],
                ratios[ROUNDS - 1],
                triggered[ROUNDS / 2]);
    }

    private static double seconds(Connection connection, int calls, int detections, int salt) throws SQLException {
        long start = System.nanoTime();
        for (int i = 0; i < calls; i++) {
            BenchDatabase.call(connection, String.format(Locale.ROOT, "bench.write(%d, %d)", detections, salt + i));
        }
        return (System.nanoTime() - start) / 1e9;
    }
}
