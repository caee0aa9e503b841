package dev.countersink.bench.engine;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** What the triggers cost those who write single rows. */
final class TriggerCost implements Scenario {
    private static final int SALES = 500_000;
    private static final int[] VIEWS = {0, 1, 2, 4};
    private static final int ROUNDS = 6;
    private static final int SECONDS = 10;
    private static final int CLIENTS = 4;
    private static final int WITH_MERGES = VIEWS.length;

    @Override
    public String name() {
        return "trigger-cost";
    }

    @Override
    public String does() {
        return "pgbench, 4 clients, prepared statements, each statement a transaction: INSERT a sale, UPDATE one at random of 500,000, DELETE the one inserted; "
                + "two indexes. In four shops, whose table of sales feeds 0, 1, 2 and 4 projections, by turns, 10 seconds each, 6 rounds; nothing is merged meanwhile, and "
                + "everything between. Then with one projection and a merge every second. Speed against that without views in the same round, median of the rounds.";
    }

    @Override
    public int minutes() {
        return 6;
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
            return outcome(lab, measure(lab, pgbench.get(), shops));
        } finally {
            for (Shop shop : shops) {
                shop.close();
            }
        }
    }

    private static Shop shop(Lab lab, int views) throws Exception {
        Shop shop = lab.shop("views" + views, SALES);
        try (Session session = lab.session()) {
            if (views > 0) {
                session.run("CALL bench.derive_fact('%s')".formatted(shop.name()));
                session.run("CALL bench.derive_more('%s', %d)".formatted(shop.name(), views - 1));
                merge(session, shop);
            }
        }
        shop.settle();
        return shop;
    }

    private static void merge(Session session, Shop shop) throws Exception {
        session.run("SELECT tally.refresh(name) FROM tally.status WHERE kind = 'projection' AND name LIKE '%s.%%'"
                .formatted(shop.name()));
    }

    /** Scripts a second: a row a setting (with merges last), a column a round. */
    private static double[][] measure(Lab lab, Pgbench pgbench, List<Shop> shops) throws Exception {
        int rounds = lab.scaled(ROUNDS, 1);
        double seconds = lab.nanos(SECONDS, 0) / 1e9;
        double[][] speeds = new double[VIEWS.length + 1][rounds];
        for (int round = 0; round < rounds; round++) {
            for (int turn = 0; turn < speeds.length; turn++) {
                int setting = (turn + round) % speeds.length;
                Shop shop = shops.get(setting == WITH_MERGES ? 1 : setting);
                Path script = script(shop);
                try (Session session = lab.session()) {
                    merge(session, shop);
                    if (setting == WITH_MERGES) {
                        try (Merger merger = new Merger(lab, shop.fact(), 1_000_000_000L)) {
                            speeds[setting][round] = pgbench.speed(script, CLIENTS, seconds);
                            merger.drain();
                        }
                    } else {
                        speeds[setting][round] = pgbench.speed(script, CLIENTS, seconds);
                    }
                } finally {
                    Files.delete(script);
                }
            }
            lab.say(
                    "round %d: %.0f, %.0f, %.0f, %.0f scripts/s with 0, 1, 2, 4 views; %.0f with one and merges",
                    round + 1,
                    speeds[0][round],
                    speeds[1][round],
                    speeds[2][round],
                    speeds[3][round],
                    speeds[4][round]);
        }
        try (Session session = lab.session()) {
            for (Shop shop : shops) {
                merge(session, shop);
                if (session.number(
                                "SELECT count(*) FROM tally.status s CROSS JOIN LATERAL tally.verify(s.name) v WHERE s.kind = 'projection' AND s.name LIKE '%s.%%'"
                                        .formatted(shop.name()))
                        != 0) {
                    throw new IllegalStateException(
                            "A view of %s is not what its definition says.".formatted(shop.name()));
                }
            }
        }
        return speeds;
    }

    private static Path script(Shop shop) throws Exception {
        Path file = Files.createTempFile("countersink-", ".pgbench");
        Files.writeString(file, """
                \\set buyer random(1, %d)
                \\set id random(1, %d)
                \\set amount random(1, 10000)
                INSERT INTO %s.sale (buyer_id, state, amount, created_at) VALUES (:buyer, 'new', :amount, now()) RETURNING id AS new_id \\gset
                UPDATE %3$s.sale SET state = 'paid', amount = :amount WHERE id = :id;
                DELETE FROM %3$s.sale WHERE id = :new_id;
                """.formatted(shop.buyers(), shop.sales(), shop.name()));
        return file;
    }

    private static Outcome outcome(Lab lab, double[][] speeds) {
        List<Figure> figures = new ArrayList<>();
        double[] shown = new double[speeds.length];
        List<String> categories = new ArrayList<>();
        for (int setting = 0; setting < speeds.length; setting++) {
            double[] ratios = new double[speeds[0].length];
            for (int round = 0; round < ratios.length; round++) {
                ratios[round] = speeds[setting][round] / speeds[0][round];
            }
            int views = setting == WITH_MERGES ? 1 : VIEWS[setting];
            String with = views + (views == 1 ? " view" : " views") + (setting == WITH_MERGES ? ", merges" : "");
            shown[setting] = Lab.median(ratios);
            categories.add(with);
            if (setting > 0) {
                figures.add(new Figure(
                        "with %s / without views"
                                .formatted(setting == WITH_MERGES ? "1 view and a merge every second" : with),
                        "%,.0f / %,.0f transactions/s"
                                .formatted(3 * Lab.median(speeds[setting]), 3 * Lab.median(speeds[0])),
                        shown[setting],
                        setting == 1 ? Aim.atLeast(0.9) : null));
            }
        }
        return new Outcome(
                figures,
                List.of(Plot.bars(
                        "trigger-cost",
                        "Speed of single-row writes, by views on the table",
                        "of the speed without views",
                        categories,
                        Plot.Series.bars("", shown))));
    }
}
