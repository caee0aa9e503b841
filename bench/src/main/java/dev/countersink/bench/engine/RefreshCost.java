package dev.countersink.bench.engine;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Random;

/** A merge, compared with REFRESH MATERIALIZED VIEW CONCURRENTLY of the same content after the same changes. */
final class RefreshCost implements Scenario {
    private static final long SALES = 1_000_000;
    private static final int[] CHANGED = {1_000, 100_000};
    private static final int ROUNDS = 3;

    @Override
    public String name() {
        return "refresh";
    }

    @Override
    public String does() {
        return "1 million sales with the projection and the rollup, and two materialized views of the same content with the same unique indexes. "
                + "After an UPDATE of sales at random both are brought up to date: by merges, and by REFRESH MATERIALIZED VIEW CONCURRENTLY of both. "
                + "Medians of 3 rounds after one to warm up.";
    }

    @Override
    public int minutes() {
        return 3;
    }

    @Override
    public Outcome run(Lab lab) throws Exception {
        List<Figure> figures = new ArrayList<>();
        double[] merges = new double[CHANGED.length];
        double[] refreshes = new double[CHANGED.length];
        List<String> categories = new ArrayList<>();
        try (Shop shop = lab.shop("refreshed", SALES).derive();
                Session session = lab.session()) {
            shop.materialize(session);
            Random random = new Random(2);
            for (int i = 0; i < CHANGED.length; i++) {
                int changed = lab.scaled(CHANGED[i], 20);
                measure(lab, shop, session, random, changed, i, merges, refreshes);
                categories.add(String.format(Locale.ROOT, "%,d changed rows", changed));
                figures.add(new Figure(
                        String.format(
                                Locale.ROOT,
                                "REFRESH CONCURRENTLY / merge, %,d of %,d rows changed",
                                changed,
                                shop.sales()),
                        String.format(Locale.ROOT, "%s / %s ms", Figure.number(refreshes[i]), Figure.number(merges[i])),
                        refreshes[i] / merges[i],
                        null));
            }
            if (session.number(String.format(
                            Locale.ROOT,
                            "SELECT count(*) FROM ((TABLE %1$s.fact EXCEPT ALL TABLE %1$s.sale_fact) UNION ALL (TABLE %1$s.sale_fact EXCEPT ALL TABLE %1$s.fact)) d",
                            shop.name()))
                    != 0) {
                throw new IllegalStateException("The materialized view and the projection differ.");
            }
            shop.dropMaterialized(session);
            shop.requireExact();
        }
        return new Outcome(
                figures,
                List.of(Plot.bars(
                        name(),
                        String.format(Locale.ROOT, "Bringing %,d rows up to date", lab.scaled(SALES, 2000)),
                        "ms",
                        categories,
                        Plot.Series.bars("merge", merges),
                        Plot.Series.bars("REFRESH CONCURRENTLY", refreshes))));
    }

    private static void measure(
            Lab lab, Shop shop, Session session, Random random, int changed, int i, double[] merges, double[] refreshes)
            throws Exception {
        double[] merge = new double[ROUNDS];
        double[] refresh = new double[ROUNDS];
        for (int round = -1; round < ROUNDS; round++) {
            session.run(shop.update(random, changed, shop.sales()));
            double merged = session.seconds(String.format(Locale.ROOT, "SELECT tally.refresh('%s')", shop.fact()));
            double refreshed = shop.refreshMaterialized(session);
            if (round >= 0) {
                merge[round] = merged * 1e3;
                refresh[round] = refreshed * 1e3;
            }
        }
        merges[i] = Lab.median(merge);
        refreshes[i] = Lab.median(refresh);
        lab.say("%,d changed rows: merge %.0f ms, REFRESH %.0f ms", changed, merges[i], refreshes[i]);
    }
}
