package dev.countersink.bench.engine;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.function.ToDoubleFunction;

/** The cost of a changed key in a merge, for a small table and for one that is twenty times as large. */
final class MergeCost implements Scenario {
    private static final long SMALL = 1_000_000;
    private static final int KEYS = 20_000;
    private static final int ROUNDS = 7;
    private static final int WARM_UP = 2;
    private static final String MICROS = "%.1f / %.1f µs a key";

    @Override
    public String name() {
        return "merge-cost";
    }

    /** The cost of a round, or the median of all rounds: µs per key of the UPDATE and of the merge, WAL bytes per key of the merge. */
    private record Cost(double update, double merge, double wal) {}

    /** The medians of the small shop, of the large shop, and of the ratio large / small of each round. */
    private record Costs(Cost small, Cost large, Cost ratio) {}

    @Override
    public String does() {
        return "One UPDATE of 20,000 sales at random, then one merge of their 20,000 keys, which is timed: by turns in a shop of 1 million "
                + "sales and in one of 20 million, both with a rollup of 20,000 cells above. First among the newest million sales of each, then "
                + "among all of them, where the larger table also has twenty times as many pages to touch, each of which PostgreSQL writes whole to the "
                + "WAL the first time after a checkpoint: hence the WAL a key, and the same ratio of the UPDATE itself. Then among all of them once every page has been "
                + "written since the checkpoint, for one sale in twenty was changed and merged. Medians of 7 rounds after 2 to warm up.";
    }

    @Override
    public int minutes() {
        return 3;
    }

    @Override
    public Outcome run(Lab lab) throws Exception {
        Shop large = lab.large().derive();
        try (Shop small = lab.shop("small", SMALL).derive()) {
            Costs newest = measure(lab, small, large, small.sales(), small.sales());
            Costs all = measure(lab, small, large, small.sales(), large.sales());
            writeEveryPage(lab, small);
            writeEveryPage(lab, large);
            Costs written = measure(lab, small, large, small.sales(), large.sales());
            small.requireExact();
            large.requireExact();
            return new Outcome(
                    List.of(
                            merge("the newest million changes", newest),
                            merge("any row changes, just after a checkpoint", all),
                            merge("any row changes, every page written since the checkpoint", written),
                            update(
                                    "for comparison: the UPDATE itself of any row, its triggers included, just after a checkpoint",
                                    all),
                            update("the same, every page written", written),
                            wal("the newest million changes", newest),
                            wal("any row changes, just after a checkpoint", all),
                            wal("any row changes, every page written", written)),
                    List.of(Plot.bars(
                            name(),
                            "What a merge costs a changed key",
                            "µs a key",
                            List.of(
                                    "the newest million changes",
                                    "any row, after a checkpoint",
                                    "any row, pages written"),
                            Plot.Series.bars(
                                    "1 million rows", newest.small.merge, all.small.merge, written.small.merge),
                            Plot.Series.bars(
                                    "20 million rows", newest.large.merge, all.large.merge, written.large.merge))));
        }
    }

    private static Figure merge(String what, Costs costs) {
        return compared("20 million rows / 1 million, " + what, MICROS, costs, Cost::merge, Aim.atMost(1.2));
    }

    private static Figure update(String what, Costs costs) {
        return compared(what, MICROS, costs, Cost::update, null);
    }

    private static Figure wal(String what, Costs costs) {
        return compared("WAL of the merge, " + what, "%,.0f / %,.0f bytes a key", costs, Cost::wal, null);
    }

    private static Figure compared(String what, String format, Costs costs, ToDoubleFunction<Cost> of, Aim aim) {
        return new Figure(
                what,
                String.format(Locale.ROOT, format, of.applyAsDouble(costs.large), of.applyAsDouble(costs.small)),
                of.applyAsDouble(costs.ratio),
                aim);
    }

    /** Writes every page of sales and of the projection, because the first write after a checkpoint logs the whole page. */
    private static void writeEveryPage(Lab lab, Shop shop) throws Exception {
        lab.say("%s: writing every page …", shop.name());
        try (Session session = lab.session()) {
            session.run(String.format(
                    Locale.ROOT, "UPDATE %s.sale SET amount = amount + 1 WHERE id %% 20 = 0", shop.name()));
            session.run(String.format(Locale.ROOT, "SELECT tally.refresh('%s')", shop.fact()));
        }
    }

    private static Costs measure(Lab lab, Shop small, Shop large, int amongSmall, int amongLarge) throws Exception {
        Random random = new Random(1);
        List<Cost> smalls = new ArrayList<>();
        List<Cost> larges = new ArrayList<>();
        List<Cost> ratios = new ArrayList<>();
        try (Session session = lab.session()) {
            for (int round = -WARM_UP; round < ROUNDS; round++) {
                Cost ofLarge = round % 2 == 0 ? null : cost(lab, session, large, random, amongLarge);
                Cost ofSmall = cost(lab, session, small, random, amongSmall);
                ofLarge = ofLarge == null ? cost(lab, session, large, random, amongLarge) : ofLarge;
                if (round >= 0) {
                    smalls.add(ofSmall);
                    larges.add(ofLarge);
                    ratios.add(new Cost(
                            ofLarge.update / ofSmall.update, ofLarge.merge / ofSmall.merge, ofLarge.wal / ofSmall.wal));
                }
            }
        }
        Costs costs = new Costs(median(smalls), median(larges), median(ratios));
        lab.say("among the newest %,d: %.1f and %.1f µs a key", amongLarge, costs.small.merge, costs.large.merge);
        return costs;
    }

    private static Cost median(List<Cost> costs) {
        return new Cost(
                Lab.median(costs.stream().mapToDouble(Cost::update).toArray()),
                Lab.median(costs.stream().mapToDouble(Cost::merge).toArray()),
                Lab.median(costs.stream().mapToDouble(Cost::wal).toArray()));
    }

    private static Cost cost(Lab lab, Session session, Shop shop, Random random, int among) throws Exception {
        int keys = Math.min(lab.scaled(KEYS, 200), among / 2);
        double update = session.seconds(shop.update(random, keys, among));
        String before = session.text("SELECT pg_current_wal_insert_lsn()");
        double merge = session.seconds(String.format(Locale.ROOT, "SELECT tally.merge('%s')", shop.fact()));
        long wal = session.number(
                String.format(Locale.ROOT, "SELECT (pg_current_wal_insert_lsn() - '%s')::bigint", before));
        return new Cost(update * 1e6 / keys, merge * 1e6 / keys, (double) wal / keys);
    }
}
