package dev.countersink.bench.engine;

import java.util.List;
import java.util.Locale;
import java.util.Random;

/** Single-row writes under pg_ivm, which updates its views in the writer's transaction. Needs that extension. */
final class PgIvm implements Scenario {
    private static final long SALES = 500_000;
    private static final int WRITES = 2_000;
    private static final int ROUNDS = 5;

    @Override
    public String name() {
        return "pg-ivm";
    }

    @Override
    public String does() {
        return "2,000 UPDATEs of a single sale, each a transaction, by one session: in a shop without views, in one with the projection and the rollup, then merged, and in one "
                + "with two incremental views of pg_ivm of the same content; by turns, median of 5 rounds. The time of the merge is counted on the projection's side.";
    }

    @Override
    public int minutes() {
        return 1;
    }

    @Override
    public Outcome run(Lab lab) throws Exception {
        try (Session session = lab.session()) {
            if (session.number("SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_ivm'") == 0) {
                return Outcome.of(Figure.only("pg_ivm", "is not installed on this server; nothing was measured"));
            }
            session.run("CREATE EXTENSION IF NOT EXISTS pg_ivm");
            try (Shop plain = lab.shop("plain", SALES);
                    Shop derived = lab.shop("derived", SALES).derive();
                    Shop immediate = lab.shop("immediate", SALES)) {
                incremental(session, immediate);
                double[][] seconds = new double[3][ROUNDS];
                for (int round = -1; round < ROUNDS; round++) {
                    double[] now = {
                        write(lab, session, plain, round),
                        write(lab, session, derived, round)
                                + session.seconds(
                                        String.format(Locale.ROOT, "SELECT tally.refresh('%s')", derived.fact())),
                        write(lab, session, immediate, round)
                    };
                    for (int i = 0; i < now.length && round >= 0; i++) {
                        seconds[i][round] = now[i];
                    }
                }
                derived.requireExact();
                return outcome(lab, Lab.median(seconds[0]), Lab.median(seconds[1]), Lab.median(seconds[2]));
            }
        }
    }

    /** The functions are in the schema pgivm; in older versions they are in pg_catalog. */
    private static void incremental(Session session, Shop shop) throws Exception {
        String schema = session.text(
                "SELECT n.nspname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.proname = 'create_immv' LIMIT 1");
        session.run(String.format(Locale.ROOT, "SET search_path = %s, %s, public", shop.name(), schema));
        session.run(String.format(
                Locale.ROOT,
                "SELECT %s.create_immv('fact', 'SELECT s.id, s.buyer_id, b.region, s.state, s.amount, s.created_at, b.id AS b_id FROM sale s JOIN buyer b ON b.id = s.buyer_id')",
                schema));
        session.run(String.format(
                Locale.ROOT,
                "SELECT %s.create_immv('totals', 'SELECT s.buyer_id, count(*) AS sales, sum(s.amount) AS amount FROM sale s JOIN buyer b ON b.id = s.buyer_id GROUP BY s.buyer_id')",
                schema));
        session.run("ANALYZE");
    }

    private static double write(Lab lab, Session session, Shop shop, int round) throws Exception {
        int writes = lab.scaled(WRITES, 50);
        Random random = new Random(round);
        long start = System.nanoTime();
        for (int i = 0; i < writes; i++) {
            session.run(shop.update(random, 1, shop.sales()));
        }
        return (System.nanoTime() - start) / 1e9;
    }

    private static Outcome outcome(Lab lab, double plain, double derived, double immediate) {
        int writes = lab.scaled(WRITES, 50);
        return new Outcome(
                List.of(
                        new Figure(
                                "writes and the merge / with pg_ivm",
                                String.format(
                                        Locale.ROOT, "%,.0f / %,.0f writes/s", writes / derived, writes / immediate),
                                immediate / derived,
                                null),
                        Figure.only("without views", String.format(Locale.ROOT, "%,.0f writes/s", writes / plain))),
                List.of(Plot.bars(
                        "pg-ivm",
                        "Single-row writes by one session, views brought up to date",
                        "writes/s",
                        List.of("no views", "projection and merge", "pg_ivm"),
                        Plot.Series.bars("", writes / plain, writes / derived, writes / immediate))));
    }
}
