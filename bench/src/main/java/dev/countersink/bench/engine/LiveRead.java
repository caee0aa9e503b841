package dev.countersink.bench.engine;

import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** The cost of reading {@code _live}, compared with the stored view and the oracle. */
final class LiveRead implements Scenario {
    private static final int SALES = 500_000;
    private static final int ROUNDS = 15;
    private static final double MORE_THAN_STORED = 2;
    private static final double WITH_MANY_PENDING = 20;

    /** A derived view to read, the condition that selects a key, and the arguments of the function that does. */
    private record View(String name, String oracle, String key, String arguments) {}

    private static final List<View> VIEWS = List.of(
            new View("sale_fact", "sale_fact_def", "id = 1", "1"),
            new View("by_buyer", "by_buyer_def", "region = 'east' AND buyer_id = 1", "'east', 1"),
            new View("by_region", "by_region_def", "region = 'east'", "'east'"));

    @Override
    public String name() {
        return "live";
    }

    @Override
    public String does() {
        return "Reads of a projection of 500,000 rows, of a rollup above it by region and buyer, and of a rollup above that by region: stored, _live, "
                + "by the function _live_at, and the oracle; by key and whole; with 0, 10 and 10,000 keys pending, of which the buyer asked for has 10. Statements are not "
                + "prepared, settings are the server's, jit too. Medians of 15. The aims by key are a share of what is allowed: 2 ms more than the stored read with nothing "
                + "pending, 20 ms with 10,000 keys pending; a whole _live is to be no slower than the oracle.";
    }

    @Override
    public int minutes() {
        return 3;
    }

    @Override
    public Outcome run(Lab lab) throws Exception {
        List<Figure> figures = new ArrayList<>();
        try (Shop shop = lab.shop("live", SALES);
                Session session = lab.session()) {
            derive(shop, session);
            measure(lab, shop, session, "nothing", figures);
            session.run(text(
                    "UPDATE %s.sale SET amount = amount + 1 WHERE buyer_id = 1 AND id <= %d",
                    shop.name(), 10L * shop.buyers()));
            measure(lab, shop, session, "10 keys", figures);
            session.run(text(
                    "UPDATE %s.sale SET amount = amount + 1 WHERE buyer_id <= %d AND id <= %d",
                    shop.name(), shop.buyers() / 20, 10L * shop.buyers()));
            measure(lab, shop, session, text("%,d keys", 10 * (shop.buyers() / 20)), figures);
            Shop.requireVerified(session, shop.views());
        }
        return new Outcome(figures, List.of());
    }

    private static String text(String format, Object... values) {
        return String.format(Locale.ROOT, format, values);
    }

    private static void derive(Shop shop, Session session) throws SQLException {
        session.run(text("CALL bench.derive_fact('%s')", shop.name()));
        session.run(text("""
                SELECT tally.create_rollup('%1$s.by_buyer', '%1$s.sale_fact', '{region,buyer_id}', '{"sales":"count(*)","amount":"sum(amount)","top":"max(amount)"}');
                SELECT tally.create_rollup('%1$s.by_region', '%1$s.by_buyer', '{region}', '{"sales":"sum(sales)","amount":"sum(amount)","top":"max(top)"}')""", shop.name()));
        Shop.refresh(session, shop.views());
        session.run("VACUUM (ANALYZE)");
    }

    private static void measure(Lab lab, Shop shop, Session session, String pending, List<Figure> figures)
            throws SQLException {
        for (View view : VIEWS) {
            String table = shop.name() + "." + view.name();
            String oracle = shop.name() + "." + view.oracle();
            double[] byKey = milliseconds(
                    lab,
                    session,
                    text("SELECT * FROM %s WHERE %s", table, view.key()),
                    text("SELECT * FROM %s_live WHERE %s", table, view.key()),
                    text("SELECT * FROM %s_live_at(%s)", table, view.arguments()),
                    text("SELECT * FROM %s WHERE %s", oracle, view.key()));
            double[] whole = milliseconds(
                    lab,
                    session,
                    text("SELECT count(*) FROM (SELECT * FROM %s OFFSET 0) x", table),
                    text("SELECT count(*) FROM (SELECT * FROM %s_live OFFSET 0) x", table),
                    text("SELECT count(*) FROM (SELECT * FROM %s OFFSET 0) x", oracle));
            lab.say("%s pending, %s: by key %.2f ms live, whole %.1f ms", pending, view.name(), byKey[1], whole[1]);
            figures.add(byKey(pending, view, byKey));
            figures.add(new Figure(
                    text("%s pending, %s whole: stored; _live / oracle", pending, view.name()),
                    text("%.1f; %.1f / %.1f ms", whole[0], whole[1], whole[2]),
                    whole[1] / whole[2],
                    Aim.atMost(1)));
        }
    }

    private static Figure byKey(String pending, View view, double[] byKey) {
        double share = pending.equals("nothing")
                ? (byKey[1] - byKey[0]) / MORE_THAN_STORED
                : Math.min(byKey[1], byKey[2]) / WITH_MANY_PENDING;
        return new Figure(
                text("%s pending, %s by key: stored, _live, _live_at, oracle", pending, view.name()),
                text("%.2f, %.2f, %.2f, %.2f ms", byKey[0], byKey[1], byKey[2], byKey[3]),
                share,
                Aim.atMost(1));
    }

    /** The median time of each query. The queries run in turn. */
    private static double[] milliseconds(Lab lab, Session session, String... queries) throws SQLException {
        int rounds = lab.scaled(ROUNDS, 3);
        double[][] times = new double[queries.length][rounds];
        for (int round = 0; round < rounds; round++) {
            for (int query = 0; query < queries.length; query++) {
                times[query][round] = session.seconds(queries[query]) * 1000;
            }
        }
        double[] medians = new double[queries.length];
        for (int query = 0; query < queries.length; query++) {
            medians[query] = Lab.median(times[query]);
        }
        return medians;
    }
}
