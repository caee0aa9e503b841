package dev.countersink.bench.engine;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * What a merge chooses for different shares of changed keys. The times are compared with a merge by key, a sweep, and a
 * REFRESH of the same content.
 */
final class Choice implements Scenario {
    private static final long SALES = 300_000;
    private static final double[] PERCENT = {0.01, 0.1, 1, 10, 30, 60, 100};
    private static final int ROUNDS = 3;
    private static final int WAYS = 4;

    @Override
    public String name() {
        return "choice";
    }

    @Override
    public String does() {
        return "300,000 sales with the projection and the rollup, and two materialized views of the same content. After each UPDATE of a share of the "
                + "sales, spread evenly, both are brought up to date: by tally.refresh, which chooses; by key, where a sweep is said to cost too much; by a "
                + "sweep, after tally.rebuild; and by REFRESH MATERIALIZED VIEW CONCURRENTLY of both. Medians of 3 rounds after one to warm up.";
    }

    @Override
    public int minutes() {
        return 8;
    }

    @Override
    public Outcome run(Lab lab) throws Exception {
        List<Figure> figures = new ArrayList<>();
        List<String> categories = new ArrayList<>();
        double[][] ms = new double[WAYS][PERCENT.length];
        try (Shop shop = lab.shop("choice", SALES).derive();
                Session session = lab.session()) {
            shop.materialize(session);
            measureOneOfEach(shop, session);
            for (int i = 0; i < PERCENT.length; i++) {
                String share = String.format(Locale.ROOT, "%s %%", Figure.number(PERCENT[i]));
                String choice = measure(shop, session, PERCENT[i], i, ms);
                double better = Math.min(ms[1][i], ms[2][i]);
                categories.add(share);
                figures.add(new Figure(
                        String.format(Locale.ROOT, "chosen / the better of both, %s changed", share),
                        String.format(
                                Locale.ROOT,
                                "%s / %s by key, %s by a sweep (REFRESH %s) ms",
                                Figure.number(ms[0][i]),
                                Figure.number(ms[1][i]),
                                Figure.number(ms[2][i]),
                                Figure.number(ms[3][i])),
                        ms[0][i] / better,
                        Aim.atMost(1.2)));
                lab.say(
                        "%s: %.1f ms, by key %.1f, by a sweep %.1f, REFRESH %.1f; %s",
                        share, ms[0][i], ms[1][i], ms[2][i], ms[3][i], choice);
            }
            shop.dropMaterialized(session);
            shop.requireExact();
        }
        return new Outcome(
                figures,
                List.of(Plot.bars(
                        name(),
                        String.format(
                                Locale.ROOT,
                                "Bringing %,d keys up to date, by the share that changed",
                                lab.scaled(SALES, 2000)),
                        "ms",
                        categories,
                        Plot.Series.bars("chosen", ms[0]),
                        Plot.Series.bars("by key", ms[1]),
                        Plot.Series.bars("by a sweep", ms[2]),
                        Plot.Series.bars("REFRESH CONCURRENTLY", ms[3]))));
    }

    /** Runs a merge by key and a sweep, so that the engine has measured the cost of both. */
    private static void measureOneOfEach(Shop shop, Session session) throws Exception {
        change(shop, session, 20);
        session.run(refresh(shop));
        session.run(String.format(Locale.ROOT, "SELECT tally.rebuild('%s')", shop.fact()));
        session.run(refresh(shop));
    }

    /** Stores the medians in {@code ms}; returns what {@code tally.status} shows about the last choice. */
    private static String measure(Shop shop, Session session, double percent, int i, double[][] ms) throws Exception {
        double[][] taken = new double[WAYS][ROUNDS];
        String choice = "";
        for (int round = -1; round < ROUNDS; round++) {
            change(shop, session, percent);
            double chosen = session.seconds(refresh(shop));
            choice = session.text(String.format(
                    Locale.ROOT, "SELECT coalesce(choice, '') FROM tally.status WHERE name = '%s'", shop.fact()));
            double refreshed = shop.refreshMaterialized(session);
            change(shop, session, percent);
            session.run("UPDATE tally.merge_choice SET us_per_swept = us_per_swept * 1e9");
            double byKey = session.seconds(refresh(shop));
            session.run("UPDATE tally.merge_choice SET us_per_swept = us_per_swept / 1e9");
            change(shop, session, percent);
            session.run(String.format(Locale.ROOT, "SELECT tally.rebuild('%s')", shop.fact()));
            double swept = session.seconds(refresh(shop));
            if (round >= 0) {
                taken[0][round] = chosen * 1e3;
                taken[1][round] = byKey * 1e3;
                taken[2][round] = swept * 1e3;
                taken[3][round] = refreshed * 1e3;
            }
        }
        for (int way = 0; way < WAYS; way++) {
            ms[way][i] = Lab.median(taken[way]);
        }
        return choice;
    }

    private static void change(Shop shop, Session session, double percent) throws Exception {
        session.run(String.format(
                Locale.ROOT,
                "UPDATE %s.sale SET amount = amount + 1 WHERE id %% 10000 < %d",
                shop.name(),
                Math.round(percent * 100)));
    }

    private static String refresh(Shop shop) {
        return String.format(Locale.ROOT, "SELECT tally.refresh('%s')", shop.fact());
    }
}
