package dev.countersink.bench.engine;

import dev.countersink.config.DbSettings;
import java.io.PrintStream;
import java.sql.SQLException;
import java.util.Arrays;
import java.util.Locale;

/** Where scenarios run: a database of the bench's own, how much of the full size, and where progress is told. */
final class Lab {
    private static final long LARGE = 20_000_000;

    private final DbSettings db;
    private final double scale;
    private final PrintStream out;
    private Shop large;

    Lab(DbSettings db, double scale, PrintStream out) {
        this.db = db;
        this.scale = scale;
        this.out = out;
    }

    DbSettings db() {
        return db;
    }

    Session session() {
        return new Session(db);
    }

    /** So many at full scale, but never fewer than the least that says anything. */
    int scaled(long full, int least) {
        return (int) Math.max(least, Math.round(full * scale));
    }

    /** A time at full scale, in nanoseconds. */
    long nanos(double seconds, double least) {
        return (long) (Math.max(least, seconds * scale) * 1e9);
    }

    /** Tells how far a scenario is. */
    void say(String format, Object... arguments) {
        out.printf(Locale.ROOT, "  " + format + "%n", arguments);
    }

    /** A shop of its own for a scenario, without anything derived. */
    Shop shop(String name, long sales) throws SQLException {
        return Shop.make(this, name, scaled(sales, 2000));
    }

    /** The shop of 20 million sales: made when it is first asked for, with its projection and rollup if backfilled. */
    Shop large() throws SQLException {
        if (large == null) {
            large = shop("large", LARGE);
        }
        return large;
    }

    static double median(double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        int middle = sorted.length / 2;
        return sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }
}
