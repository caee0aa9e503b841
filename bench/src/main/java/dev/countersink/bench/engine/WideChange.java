package dev.countersink.bench.engine;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.locks.LockSupport;

/** The speed of single-row writers while one UPDATE of another table makes a million keys pending. */
final class WideChange implements Scenario {
    private static final long SALES = 2_000_000;
    private static final int WRITERS = 2;
    private static final int ROUNDS = 3;
    private static final double QUIET_SECONDS = 20;
    private static final long POLL_NANOS = 20_000_000;

    @Override
    public String name() {
        return "wide-change";
    }

    @Override
    public String does() {
        return "2 million sales; half of the buyers move to another region by one UPDATE, which changes a million keys, while two writers UPDATE single "
                + "sales as fast as they can and a merger merges every second, at once while there is more. The writers' commits a second until the change is "
                + "merged, against 20 undisturbed seconds before and after; median of 3 such changes. A fourth is watched instead of timed, merged in eight steps: live views of the "
                + "projection and of the rollup are compared with their definitions by EXCEPT ALL, each time in one snapshot.";
    }

    @Override
    public int minutes() {
        return 5;
    }

    @Override
    public Outcome run(Lab lab) throws Exception {
        try (Shop shop = lab.shop("wide", SALES).derive();
                Session session = lab.session()) {
            double[] quiet = new double[ROUNDS + 1];
            double[] wide = new double[ROUNDS];
            double[] took = new double[ROUNDS];
            double[] ratios = new double[ROUNDS];
            List<double[]> speeds = new ArrayList<>();
            int checks;
            try (Writers writers = new Writers(lab, WRITERS, s -> write(s, shop))) {
                try (Merger merger = new Merger(lab, shop.fact(), 1_000_000_000L)) {
                    long second = lab.nanos(1, 0.05);
                    long undisturbed = lab.nanos(QUIET_SECONDS, 0.1);
                    speed(writers, second, undisturbed / 4, null, new ArrayList<>()); // warms up
                    quiet[0] = speed(writers, second, undisturbed, null, new ArrayList<>());
                    for (int i = 0; i < ROUNDS; i++) {
                        long start = System.nanoTime();
                        List<double[]> noted = i == 0 ? speeds : new ArrayList<>();
                        change(session, shop);
                        wide[i] = speed(writers, second, 0, merger, noted);
                        took[i] = (System.nanoTime() - start) / 1e9;
                        quiet[i + 1] = speed(writers, second, undisturbed, null, noted);
                        ratios[i] = wide[i] / ((quiet[i] + quiet[i + 1]) / 2);
                        lab.say(
                                "wide change %d: merged after %.1f s; %,.0f commits/s, undisturbed %,.0f",
                                i + 1, took[i], wide[i], quiet[i + 1]);
                    }
                }
                checks = watch(lab, shop, session);
                writers.writes();
            }
            requireNone(session, shop, "_live");
            session.run(String.format(Locale.ROOT, "SELECT tally.refresh('%s')", shop.fact()));
            requireNone(session, shop, "");
            return new Outcome(
                    List.of(
                            new Figure(
                                    "writers during the change / undisturbed",
                                    String.format(
                                            Locale.ROOT,
                                            "%,.0f / %,.0f commits/s",
                                            Lab.median(wide),
                                            Lab.median(quiet)),
                                    Lab.median(ratios),
                                    Aim.atLeast(0.8)),
                            Figure.only(
                                    String.format(
                                            Locale.ROOT, "a change of %,d keys is merged after", shop.sales() / 2),
                                    String.format(Locale.ROOT, "%.1f s", Lab.median(took))),
                            Figure.only(
                                    "live views against their definitions, EXCEPT ALL",
                                    String.format(
                                            Locale.ROOT,
                                            "no difference in %d snapshots meanwhile and one at the end",
                                            checks))),
                    List.of(Plot.lines(
                            name(),
                            "Single-row commits while a million keys change (from 0 until merged)",
                            "commits/s",
                            "s",
                            new Plot.Series(
                                    "commits",
                                    speeds.stream()
                                            .mapToDouble(s -> s[0] - speeds.get(0)[0])
                                            .toArray(),
                                    speeds.stream().mapToDouble(s -> s[1]).toArray()))));
        }
    }

    private static void write(Session session, Shop shop) throws java.sql.SQLException {
        session.run(String.format(
                Locale.ROOT,
                "UPDATE %s.sale SET amount = amount + 1 WHERE id = %d",
                shop.name(),
                ThreadLocalRandom.current().nextInt(1, shop.sales() + 1)));
    }

    private static void change(Session session, Shop shop) throws Exception {
        session.run(String.format(
                Locale.ROOT,
                "UPDATE %s.buyer SET region = 'not ' || region WHERE id <= %d",
                shop.name(),
                shop.buyers() / 2));
    }

    /** Commits per second, for a time or until the merger has caught up; also adds each second to {@code speeds}. */
    private static double speed(Writers writers, long second, long nanos, Merger until, List<double[]> speeds) {
        long start = System.nanoTime();
        long first = writers.writes();
        long before = first;
        long then = start;
        long now = start;
        while (until == null ? now - start < nanos : !until.caughtUpSince(start)) {
            LockSupport.parkNanos(Math.min(second, POLL_NANOS));
            now = System.nanoTime();
            if (now - then >= second) {
                long count = writers.writes();
                speeds.add(new double[] {now / 1e9, (count - before) * 1e9 / (now - then)});
                before = count;
                then = now;
            }
        }
        return (writers.writes() - first) * 1e9 / (now - start);
    }

    /**
     * Merges a wide change in eight steps while writers continue. After every other step it compares the live views with
     * their definitions; returns the number of comparisons.
     */
    private static int watch(Lab lab, Shop shop, Session session) throws Exception {
        long start = System.nanoTime();
        change(session, shop);
        int checks = 0;
        long waiting = 1;
        for (int step = 0; waiting > 0; step++) {
            if (step % 2 == 0) {
                requireNone(session, shop, "_live");
                checks++;
            }
            session.run(String.format(
                    Locale.ROOT, "SELECT tally.merge('%s', %d)", shop.fact(), Math.max(500, shop.sales() / 16)));
            waiting = session.number(
                    String.format(Locale.ROOT, "SELECT count(*) FROM %s_delta WHERE tally_source <> 0", shop.fact()));
        }
        lab.say(
                "live views were exact in %d snapshots while the change was merged (%.1f s)",
                checks, (System.nanoTime() - start) / 1e9);
        return checks;
    }

    private static void requireNone(Session session, Shop shop, String suffix) throws Exception {
        session.run("BEGIN ISOLATION LEVEL REPEATABLE READ");
        long rows =
                session.number(String.format(Locale.ROOT, "SELECT bench.differences('%s', '%s')", shop.name(), suffix));
        session.run("COMMIT");
        if (rows != 0) {
            throw new IllegalStateException(String.format(
                    Locale.ROOT, "%,d rows of %s%s differ from the definition.", rows, shop.fact(), suffix));
        }
    }
}
