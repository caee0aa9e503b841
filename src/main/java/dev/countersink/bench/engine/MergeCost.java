package dev.countersink.bench.engine;

import java.util.List;
import java.util.Random;

/** What a changed key costs a merge, in a small table and in one twenty times as large. */
final class MergeCost implements Scenario {
    private static final long SMALL = 1_000_000;
    private static final int KEYS = 20_000;
    private static final int ROUNDS = 7;
    private static final int WARM_UP = 2;

    @Override
    public String name() {
        return "merge-cost";
    }

    @Override
    public String does() {
        return "One UPDATE of 20,000 sales at random, then one merge of their 20,000 keys, which is timed: by turns in a shop of 1 million "
                + "sales and in one of 20 million, both with a rollup of 20,000 cells above. First among the newest million sales of each, then "
                + "among all of them, where the larger table also has twenty times as many pages to touch. Medians of 7 rounds after 2 to warm up.";
    }

    @Override
    public int minutes() {
        return 3;
    }

    @Override
    public Outcome run(Lab lab) throws Exception {
        Shop large = lab.large().derive();
        try (Shop small = lab.shop("small", SMALL).derive()) {
            double[] newest = measure(lab, small, large, small.sales(), small.sales());
            double[] all = measure(lab, small, large, small.sales(), large.sales());
            small.requireExact();
            large.requireExact();
            return new Outcome(
                    List.of(
                            new Figure(
                                    "20 million rows / 1 million, the newest million changes",
                                    "%.1f / %.1f µs a key".formatted(newest[1], newest[0]),
                                    newest[2],
                                    Aim.atMost(1.2)),
                            new Figure(
                                    "20 million rows / 1 million, any row changes",
                                    "%.1f / %.1f µs a key".formatted(all[1], all[0]),
                                    all[2],
                                    Aim.atMost(1.2))),
                    List.of(Plot.bars(
                            name(),
                            "What a merge costs a changed key",
                            "µs a key",
                            List.of("the newest million changes", "any row changes"),
                            Plot.Series.bars("1 million rows", newest[0], all[0]),
                            Plot.Series.bars("20 million rows", newest[1], all[1]))));
        }
    }

    /** µs a key in the small shop, in the large one, and the ratio, each the median of the rounds. */
    private static double[] measure(Lab lab, Shop small, Shop large, int amongSmall, int amongLarge) throws Exception {
        Random random = new Random(1);
        double[] smalls = new double[ROUNDS];
        double[] larges = new double[ROUNDS];
        double[] ratios = new double[ROUNDS];
        try (Session session = lab.session()) {
            for (int round = -WARM_UP; round < ROUNDS; round++) {
                boolean smallFirst = round % 2 == 0;
                double first = microsAKey(
                        lab, session, smallFirst ? small : large, random, smallFirst ? amongSmall : amongLarge);
                double second = microsAKey(
                        lab, session, smallFirst ? large : small, random, smallFirst ? amongLarge : amongSmall);
                if (round >= 0) {
                    smalls[round] = smallFirst ? first : second;
                    larges[round] = smallFirst ? second : first;
                    ratios[round] = larges[round] / smalls[round];
                }
            }
        }
        lab.say("among the newest %,d: %.1f and %.1f µs a key", amongLarge, Lab.median(smalls), Lab.median(larges));
        return new double[] {Lab.median(smalls), Lab.median(larges), Lab.median(ratios)};
    }

    private static double microsAKey(Lab lab, Session session, Shop shop, Random random, int among) throws Exception {
        int keys = Math.min(lab.scaled(KEYS, 200), among / 2);
        session.run(shop.update(random, keys, among));
        double seconds = session.seconds("SELECT tally.merge('%s')".formatted(shop.fact()));
        return seconds * 1e6 / keys;
    }
}
