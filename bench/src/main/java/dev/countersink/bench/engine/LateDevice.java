package dev.countersink.bench.engine;

import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** A late row of one device among many: a merge, compared with computing its whole range of time again. */
final class LateDevice implements Scenario {
    private static final long DEVICES = 100_000;
    private static final int HOURS = 4;
    private static final int READINGS_AN_HOUR = 2;
    private static final int ROUNDS = 5;
    private static final String SCHEMA = "late";

    /** In ms. */
    private record Times(double merge, double range) {}

    @Override
    public String name() {
        return "late-device";
    }

    @Override
    public String does() {
        return "100,000 devices with two readings an hour for 4 hours, and a view of count, sum and maximum by device and hour, kept by tally.keep. "
                + "One late reading arrives for an hour that is over; then one for each hour. A merge brings the view up to date. It is compared with what an invalidation by "
                + "time range would compute: those hours deleted from a table of the same content and index, and inserted again from the readings, which have an index by time. "
                + "Medians of 5 rounds after one to warm up.";
    }

    @Override
    public int minutes() {
        return 3;
    }

    @Override
    public Outcome run(Lab lab) throws Exception {
        int devices = lab.scaled(DEVICES, 200);
        List<Figure> figures = new ArrayList<>();
        try (Session session = lab.session()) {
            lab.say("making %,d devices …", devices);
            session.run(String.format(
                    Locale.ROOT,
                    "CALL bench.make_devices('%s', %d, %d, %d)",
                    SCHEMA,
                    devices,
                    HOURS,
                    READINGS_AN_HOUR));
            session.run("VACUUM (ANALYZE)");
            session.run("CHECKPOINT");
            for (int hours : new int[] {1, HOURS}) {
                Times times = measure(session, devices, hours);
                figures.add(new Figure(
                        String.format(
                                Locale.ROOT,
                                "%s again / merge, %d late %s",
                                hours == 1 ? "its hour" : "their " + hours + " hours",
                                hours,
                                hours == 1 ? "reading" : "readings"),
                        String.format(
                                Locale.ROOT,
                                "%s / %s ms; %,d / %d groups",
                                Figure.number(times.range),
                                Figure.number(times.merge),
                                (long) devices * hours,
                                hours),
                        times.range / times.merge,
                        null));
                lab.say("%d hours: merge %.1f ms, by range %.1f ms", hours, times.merge, times.range);
            }
            if (session.number("SELECT bench.devices_differ('" + SCHEMA + "')") != 0) {
                throw new IllegalStateException("The view of devices is not what its definition says.");
            }
            session.run("SELECT tally.drop('" + SCHEMA + ".hourly')");
            session.run("DROP SCHEMA " + SCHEMA + " CASCADE");
        }
        return new Outcome(figures, List.of());
    }

    private static Times measure(Session session, int devices, int hours) throws SQLException {
        double[] merge = new double[ROUNDS];
        double[] range = new double[ROUNDS];
        for (int round = -1; round < ROUNDS; round++) {
            int device = 1 + Math.floorMod(round * 7919, devices);
            session.run(String.format(
                    Locale.ROOT,
                    "INSERT INTO %s.reading (device_id, at, value) SELECT %d, timestamptz '2026-01-01 00:30Z' + h * interval '1 hour', 7 FROM generate_series(0, %d) h",
                    SCHEMA,
                    device,
                    hours - 1));
            double merged = session.seconds("SELECT tally.merge('" + SCHEMA + ".hourly')");
            double again =
                    session.seconds(String.format(Locale.ROOT, "CALL bench.hours_again('%s', %d)", SCHEMA, hours));
            if (round >= 0) {
                merge[round] = merged * 1e3;
                range[round] = again * 1e3;
            }
        }
        return new Times(Lab.median(merge), Lab.median(range));
    }
}
