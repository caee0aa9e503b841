package dev.countersink.bench.engine;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.IntStream;

/** The cost of the triggers for single-row writers. */
final class TriggerCost implements Scenario {
    private static final int SALES = 500_000;
    private static final int[] VIEWS = {0, 1, 2, 4};
    private static final int ROUNDS = 6;
    private static final int SECONDS = 6;
    private static final int CLIENTS = 4;
    private static final int WITH_MERGES = VIEWS.length;

    @Override
    public String name() {
        return "trigger-cost";
    }

    @Override
    public String does() {
        return "pgbench, 4 clients, prepared statements, two sorts of transactions. Single statements, each a transaction: INSERT a sale, UPDATE one at random "
                + "of 500,000, DELETE the one inserted; two indexes. And transactions of the shape of pgbench's own (TPC-B-like): UPDATE and SELECT a sale, UPDATE two rows of "
                + "tables that no view reads, INSERT into a third. In four shops, whose table of sales feeds 0, 1, 2 and 4 projections, by turns, 6 seconds each, 6 rounds; nothing is "
                + "merged meanwhile, and everything between. Then with one projection and a merge every second. Speed against that without views in the same round, median of the rounds.";
    }

    @Override
    public int minutes() {
        return 8;
    }

    @Override
    public Outcome run(Lab lab) throws Exception {
        Optional<Pgbench> pgbench = Pgbench.find(lab.db());
        if (pgbench.isEmpty()) {
            return Outcome.of(Figure.only(
                    "pgbench", "is not on this machine: install PostgreSQL's server package; nothing was measured"));
        }
        List<Shop> shops = new ArrayList<>();
        try {
            for (int views : VIEWS) {
                shops.add(shop(lab, views));
            }
            double[][] statements = measure(lab, pgbench.get(), shops, "statements", TriggerCost::statements);
            double[][] transactions = measure(lab, pgbench.get(), shops, "transactions", TriggerCost::transaction);
            return outcome(statements, transactions);
        } finally {
            for (Shop shop : shops) {
                shop.close();
            }
        }
    }

    private static Shop shop(Lab lab, int views) throws Exception {
        Shop shop = lab.shop("views" + views, SALES);
        try (Session session = lab.session()) {
            session.run(String.format(Locale.ROOT, "CALL bench.add_tills('%s')", shop.name()));
            if (views > 0) {
                session.run(String.format(Locale.ROOT, "CALL bench.derive_fact('%s')", shop.name()));
                session.run(String.format(Locale.ROOT, "CALL bench.derive_more('%s', %d)", shop.name(), views - 1));
                Shop.refresh(session, shop.views());
            }
        }
        shop.settle();
        return shop;
    }

    /** Scripts per second: a row for each setting (the last one with merges), a column for each round. */
    private static double[][] measure(
            Lab lab, Pgbench pgbench, List<Shop> shops, String what, Function<Shop, String> script) throws Exception {
        int rounds = lab.scaled(ROUNDS, 1);
        double seconds = lab.nanos(SECONDS, 0) / 1e9;
        double[][] speeds = new double[VIEWS.length + 1][rounds];
        for (int round = 0; round < rounds; round++) {
            for (int turn = 0; turn < speeds.length; turn++) {
                int setting = (turn + round) % speeds.length;
                Shop shop = shops.get(setting == WITH_MERGES ? 1 : setting);
                Path file = Files.createTempFile("countersink-", ".pgbench");
                try (Session session = lab.session()) {
                    Files.writeString(file, script.apply(shop));
                    Shop.refresh(session, shop.views());
                    if (setting == WITH_MERGES) {
                        try (Merger merger = new Merger(lab, shop.fact(), 1_000_000_000L)) {
                            speeds[setting][round] = pgbench.speed(file, CLIENTS, seconds);
                            merger.drain();
                        }
                    } else {
                        speeds[setting][round] = pgbench.speed(file, CLIENTS, seconds);
                    }
                } finally {
                    Files.delete(file);
                }
            }
            lab.say(
                    "%s, round %d: %.0f, %.0f, %.0f, %.0f scripts/s with 0, 1, 2, 4 views; %.0f with one and merges",
                    what,
                    round + 1,
                    speeds[0][round],
                    speeds[1][round],
                    speeds[2][round],
                    speeds[3][round],
                    speeds[4][round]);
        }
        try (Session session = lab.session()) {
            for (Shop shop : shops) {
                Shop.requireVerified(session, shop.views());
            }
        }
        return speeds;
    }

    private static String statements(Shop shop) {
        return String.format(Locale.ROOT, """
                \\set buyer random(1, %d)
                \\set id random(1, %d)
                \\set amount random(1, 10000)
                INSERT INTO %s.sale (buyer_id, state, amount, created_at) VALUES (:buyer, 'new', :amount, now()) RETURNING id AS new_id \\gset
                UPDATE %3$s.sale SET state = 'paid', amount = :amount WHERE id = :id;
                DELETE FROM %3$s.sale WHERE id = :new_id;
                """, shop.buyers(), shop.sales(), shop.name());
    }

    private static String transaction(Shop shop) {
        return String.format(Locale.ROOT, """
                \\set id random(1, %d)
                \\set till random(1, 100)
                \\set clerk random(1, 1000)
                \\set amount random(1, 10000)
                BEGIN;
                UPDATE %s.sale SET amount = :amount WHERE id = :id;
                SELECT amount FROM %2$s.sale WHERE id = :id;
                UPDATE %2$s.clerk SET takings = takings + :amount WHERE id = :clerk;
                UPDATE %2$s.till SET takings = takings + :amount WHERE id = :till;
                INSERT INTO %2$s.booking (till_id, clerk_id, sale_id, amount, booked_at) VALUES (:till, :clerk, :id, :amount, now());
                END;
                """, shop.sales(), shop.name());
    }

    private static Outcome outcome(double[][] statements, double[][] transactions) {
        double[] singly = ratios(statements);
        double[] together = ratios(transactions);
        List<Figure> figures = new ArrayList<>(figures("single statements", 3, statements, singly));
        figures.addAll(figures("TPC-B-like transactions", 1, transactions, together));
        return new Outcome(
                figures,
                List.of(Plot.bars(
                        "trigger-cost",
                        "Speed of single-row writes, by views on the table",
                        "of the speed without views",
                        IntStream.range(0, singly.length)
                                .mapToObj(setting -> views(setting) + (setting == WITH_MERGES ? ", merges" : ""))
                                .toList(),
                        Plot.Series.bars("single statements", singly),
                        Plot.Series.bars("TPC-B-like transactions", together))));
    }

    /** For each setting: its speed divided by the speed without views, as the median over the rounds. */
    private static double[] ratios(double[][] speeds) {
        double[] medians = new double[speeds.length];
        for (int setting = 0; setting < speeds.length; setting++) {
            double[] ratios = new double[speeds[0].length];
            for (int round = 0; round < ratios.length; round++) {
                ratios[round] = speeds[setting][round] / speeds[0][round];
            }
            medians[setting] = Lab.median(ratios);
        }
        return medians;
    }

    /** The lines for one kind of transaction; a script has {@code perScript} of them. */
    private static List<Figure> figures(String what, int perScript, double[][] speeds, double[] ratios) {
        List<Figure> figures = new ArrayList<>();
        for (int setting = 1; setting < speeds.length; setting++) {
            figures.add(new Figure(
                    String.format(
                            Locale.ROOT,
                            "%s, with %s%s / without views",
                            what,
                            views(setting),
                            setting == WITH_MERGES ? " and a merge every second" : ""),
                    String.format(
                            Locale.ROOT,
                            "%,.0f / %,.0f transactions/s",
                            perScript * Lab.median(speeds[setting]),
                            perScript * Lab.median(speeds[0])),
                    ratios[setting],
                    setting == 1 ? Aim.atLeast(0.9) : null));
        }
        return figures;
    }

    private static String views(int setting) {
        int views = setting == WITH_MERGES ? 1 : VIEWS[setting];
        return views + (views == 1 ? " view" : " views");
    }
}
