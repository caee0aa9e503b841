package dev.countersink.bench.engine;

import dev.countersink.config.DbSettings;
import java.io.PrintStream;
import java.sql.SQLException;
import java.util.Arrays;
import java.util.Locale;

/** What scenarios share: the database of the bench, the scale, and the output for progress. */
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

    /** A number at full scale, scaled down, but not below the least that gives a meaningful result. */
    int scaled(long full, int least) {
        return (int) Math.max(least, Math.round(full * scale));
    }

    /** A time in seconds at full scale, scaled down, in nanoseconds. */
    long nanos(double seconds, double least) {
        return (long) (Math.max(least, seconds * scale) * 1e9);
    }

    /** Prints the progress of a scenario. */
    void say(String format, Object... arguments) {
        out.printf(Locale.ROOT, "  " + format + "%n", arguments);
    }

    /** A new shop for one scenario, without derived views. */
    Shop shop(String name, long sales) throws SQLException {
        return Shop.make(this, name, scaled(sales, 2000));
    }

    /** The shop of 20 million sales, created at the first call. It has a projection and a rollup once they are backfilled. */
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
