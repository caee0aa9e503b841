package dev.countersink.bench.engine;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.concurrent.locks.LockSupport;

/** Merges while a reader keeps one snapshot open, so that vacuum cannot remove dead rows. */
final class HeldXmin implements Scenario {
    private static final long SALES = 1_000_000;
    private static final int RATE = 2000;
    private static final int WRITES_A_SECOND = 10;
    private static final int HELD_WINDOWS = 10;
    private static final int FREE_WINDOWS = 3;

    /** What a merge reads, on average over one minute. */
    private record Window(double minute, double millis, double entries, double buffers) {}

    /** The windows in order of time: of the projection with a rollup, and of the one without. */
    private record Course(List<Window> fact, List<Window> label) {}

    @Override
    public String name() {
        return "held-xmin";
    }

    @Override
    public String does() {
        return "2,000 sales a second change (ten UPDATEs of 200 at random, of 1 million) and are merged every second into two projections, one of them with a rollup of 20,000 cells above, for 10 minutes, while a reader "
                + "holds the snapshot from before: no row that died since can be removed. Minute by minute: the median time of a merge, and what it reads of "
                + "the delta table (index entries; buffers, writers' included). The last minute against the second; the first warms up. "
                + "Then 3 minutes of the same in a shop of its own, without the reader.";
    }

    @Override
    public int minutes() {
        return 14;
    }

    @Override
    public Outcome run(Lab lab) throws Exception {
        Course freely = run(lab, "free", false, FREE_WINDOWS);
        Course course = run(lab, "held", true, HELD_WINDOWS);
        List<Window> free = freely.fact;
        List<Window> held = course.fact;
        Window first = held.get(1);
        Window last = held.get(held.size() - 1);
        Window plainFirst = course.label.get(1);
        Window plainLast = course.label.get(course.label.size() - 1);
        Window without = free.get(free.size() - 1);
        return new Outcome(
                List.of(
                        growth(
                                "time of a merge of a projection, last minute / second, snapshot held",
                                "%.1f / %.1f ms",
                                plainLast.millis,
                                plainFirst.millis),
                        growth(
                                "the same of one with a rollup of 20,000 cells above",
                                "%.1f / %.1f ms",
                                last.millis,
                                first.millis),
                        growth(
                                "index entries of the delta table read a merge, last minute / second",
                                "%,.0f / %,.0f",
                                last.entries,
                                first.entries),
                        growth(
                                "buffers of the delta table a merge, last minute / second",
                                "%,.0f / %,.0f",
                                last.buffers,
                                first.buffers),
                        Figure.only(
                                "without the reader, third minute",
                                String.format(
                                        Locale.ROOT,
                                        "%.1f ms, %,.0f entries, %,.0f buffers",
                                        without.millis,
                                        without.entries,
                                        without.buffers))),
                List.of(
                        Plot.lines(
                                name() + "-time",
                                "Time of a merge at 2,000 changed rows a second",
                                "ms",
                                "minutes",
                                series("projection, snapshot held", course.label, false),
                                series("with a rollup, snapshot held", held, false),
                                series("with a rollup, no snapshot held", free, false)),
                        Plot.lines(
                                name() + "-reads",
                                "Index entries of the delta table read a merge",
                                "entries",
                                "minutes",
                                series("snapshot held", held, true),
                                series("no snapshot held", free, true))));
    }

    private static Figure growth(String what, String format, double last, double first) {
        return new Figure(what, String.format(Locale.ROOT, format, last, first), last / first, Aim.atMost(1.2));
    }

    private static Plot.Series series(String name, List<Window> windows, boolean entries) {
        return new Plot.Series(
                name,
                windows.stream().mapToDouble(Window::minute).toArray(),
                windows.stream()
                        .mapToDouble(w -> entries ? w.entries : w.millis)
                        .toArray());
    }

    private static Course run(Lab lab, String name, boolean held, int count) throws Exception {
        long window = lab.nanos(60, 0.15);
        Course course = new Course(new ArrayList<>(), new ArrayList<>());
        List<Window> windows = course.fact;
        try (Shop shop = lab.shop(name, SALES).derive().deriveLabel();
                Session reader = lab.session();
                Session statistics = lab.session()) {
            Random random = new Random(3);
            if (held) {
                reader.run("BEGIN ISOLATION LEVEL REPEATABLE READ");
                reader.text("SELECT count(*) FROM " + shop.name() + ".buyer");
            }
            long[] due = {System.nanoTime()};
            long interval = Math.min(1_000_000_000L, window / 10);
            try (Merger merger = new Merger(lab, shop.fact(), interval);
                    Merger plain = new Merger(lab, shop.label(), interval);
                    Writers writers = new Writers(lab, 1, session -> {
                        session.run(shop.update(random, RATE / WRITES_A_SECOND, shop.sales()));
                        due[0] += 1_000_000_000L / WRITES_A_SECOND;
                        LockSupport.parkNanos(due[0] - System.nanoTime());
                    })) {
                long start = System.nanoTime();
                long[] before = reads(statistics, shop.fact());
                long[] plainBefore = reads(statistics, shop.label());
                merger.drain();
                plain.drain();
                for (int i = 1; i <= count; i++) {
                    LockSupport.parkNanos(start + i * window - System.nanoTime());
                    merger.awaitOne(); // of a short window, in a trial, none may have ended
                    plain.awaitOne();
                    long[] after = reads(statistics, shop.fact());
                    long[] plainAfter = reads(statistics, shop.label());
                    List<Merger.Merge> merges = merger.drain();
                    windows.add(window(merges, i * window / 6e10, before, after));
                    course.label.add(window(plain.drain(), i * window / 6e10, plainBefore, plainAfter));
                    before = after;
                    plainBefore = plainAfter;
                    Window now = windows.get(windows.size() - 1);
                    lab.say(
                            "%s, minute %d: %d merges of %,.0f keys, %.1f ms (%.1f without a rollup), %,.0f index entries and %,.0f buffers each; %,d writes",
                            held ? "snapshot held" : "no snapshot held",
                            i,
                            merges.size(),
                            Lab.median(merges.stream()
                                    .mapToDouble(Merger.Merge::keys)
                                    .toArray()),
                            now.millis,
                            course.label.get(i - 1).millis,
                            now.entries,
                            now.buffers,
                            writers.writes());
                }
            }
            if (held) {
                reader.run("COMMIT");
            }
            shop.requireExact();
            Shop.requireVerified(statistics, shop.label());
        }
        return course;
    }

    private static Window window(List<Merger.Merge> merges, double minute, long[] before, long[] after) {
        if (merges.isEmpty()) {
            throw new IllegalStateException("No merge ended in a whole window.");
        }
        return new Window(
                minute,
                Lab.median(merges.stream().mapToDouble(Merger.Merge::millis).toArray()),
                (double) (after[0] - before[0]) / merges.size(),
                (double) (after[1] - before[1]) / merges.size());
    }

    /** Index entries and buffers of the delta table read so far, from the server's statistics. */
    private static long[] reads(Session statistics, String projection) throws Exception {
        String[] numbers =
                statistics.text(String.format(Locale.ROOT, """
                        SELECT concat_ws(' ', (SELECT sum(i.idx_tup_read) FROM pg_stat_all_indexes i WHERE i.relid = t.relid),
                            t.heap_blks_read + t.heap_blks_hit + t.idx_blks_read + t.idx_blks_hit)
                        FROM pg_statio_all_tables t WHERE t.relid = '%s_delta'::regclass""", projection)).split(" ");
        return new long[] {Long.parseLong(numbers[0]), Long.parseLong(numbers[1])};
    }
}
