package dev.countersink.bench.ingest;

import dev.countersink.bench.BenchDatabase;
import dev.countersink.bench.engine.Aim;
import dev.countersink.bench.engine.Figure;
import dev.countersink.demo.Workload;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** A backlog against COPY of the rows that it makes. */
final class Backlog implements Scenario {
    private static final int MESSAGES = 12_000;
    private static final int WARM_UP = 3_000;
    private static final int[] WRITERS = {1, 2, 4};
    private static final Aim COMMITTED = Aim.atLeast(1);
    private static final Aim MERGED = Aim.atLeast(0.85);
    private static final int COPIES = 3;

    @Override
    public String name() {
        return "backlog";
    }

    @Override
    public String does() {
        return "12,000 messages in the stream, to the last commit, and until everything is merged, with 1, 2 and 4 writers and a merge every second, after 3,000 messages to warm up; "
                + "against one COPY a table, one after the other, of the very same rows into the same tables without triggers (median of 3). The ratio is the time of COPY divided by that of the ingestion.";
    }

    @Override
    public int captures(Lab lab) {
        return lab.scaled(MESSAGES, 100);
    }

    private record Run(int writers, double committed, double merged) {}

    @Override
    public List<Figure> run(Lab lab) throws Exception {
        int messages = captures(lab);
        warmUp(lab);
        List<Run> runs = new ArrayList<>();
        double[] copies = new double[COPIES];
        for (int i = 0; i < WRITERS.length; i++) {
            BenchDatabase database = lab.database();
            runs.add(ingest(lab, database, messages, WRITERS[i]));
            copies[i] = copy(lab, database);
            database.drop();
        }
        double copy = median(copies);
        List<Figure> figures = new ArrayList<>();
        figures.add(Figure.only("COPY of the same rows", seconds(copy)));
        for (Run run : runs) {
            String by = run.writers() + (run.writers() == 1 ? " writer" : " writers");
            boolean aimed = run.writers() == 2;
            figures.add(new Figure(
                    by + ", to the last commit",
                    String.format(
                            Locale.ROOT, "%s, %,.0f messages/s", seconds(run.committed()), messages / run.committed()),
                    copy / run.committed(),
                    aimed ? COMMITTED : null));
            figures.add(new Figure(
                    by + ", everything merged", seconds(run.merged()), copy / run.merged(), aimed ? MERGED : null));
        }
        return figures;
    }

    /** A service that takes in a backlog is seldom one that has just started. */
    private static void warmUp(Lab lab) throws Exception {
        BenchDatabase database = lab.database();
        ingest(lab, database, lab.scaled(WARM_UP, 100), 2);
        database.drop();
    }

    private static String seconds(double seconds) {
        return String.format(Locale.ROOT, "%.2f s", seconds);
    }

    private static double median(double[] values) {
        double[] sorted = values.clone();
        java.util.Arrays.sort(sorted);
        return sorted[sorted.length / 2];
    }

    private static Run ingest(Lab lab, BenchDatabase database, int messages, int writers) throws Exception {
        lab.publish(1, new Workload(1), 1, messages);
        lab.awaitStored();
        try (Instance instance = lab.instance(database, writers).start()) {
            instance.awaitCommitted(messages);
            double committed = instance.seconds();
            instance.awaitMerged();
            double merged = instance.seconds();
            long processed = instance.number("bench.processed()");
            if (processed != messages) {
                throw new IllegalStateException(
                        String.format(Locale.ROOT, "%d captures are processed, not %d", processed, messages));
            }
            lab.say("%d writers: last commit after %.2f s, all merged after %.2f s", writers, committed, merged);
            return new Run(writers, committed, merged);
        }
    }

    private static double copy(Lab lab, BenchDatabase from) throws SQLException, IOException {
        BenchDatabase to = lab.database();
        to.withoutTriggers();
        double seconds = 0;
        StringBuilder each = new StringBuilder();
        for (String table : BenchDatabase.WRITTEN) {
            Path file = lab.dir().resolve(table + ".copy");
            from.copyOut(table, file);
            long start = System.nanoTime();
            long rows = to.copyIn(table, file);
            double took = (System.nanoTime() - start) / 1e9;
            each.append(String.format(Locale.ROOT, "; %s: %,d rows in %.2f s", table, rows, took));
            seconds += took;
            Files.delete(file);
        }
        to.drop();
        lab.say("COPY: %.2f s%s", seconds, each);
        return seconds;
    }
}
