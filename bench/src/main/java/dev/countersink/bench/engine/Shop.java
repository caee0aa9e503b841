package dev.countersink.bench.engine;

import java.sql.SQLException;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.stream.Collectors;

/** A schema with sales and buyers, and the views derived from them: see {@code bench/engine.sql}. */
final class Shop implements AutoCloseable {
    private static final int BUYERS = 20_000;

    private final Lab lab;
    private final String name;
    private final int sales;
    private final int buyers;
    private boolean derived;

    private Shop(Lab lab, String name, int sales, int buyers) {
        this.lab = lab;
        this.name = name;
        this.sales = sales;
        this.buyers = buyers;
    }

    static Shop make(Lab lab, String name, int sales) throws SQLException {
        Shop shop = new Shop(lab, name, sales, Math.min(lab.scaled(BUYERS, 200), sales / 10));
        lab.say("making %s: %,d sales by %,d buyers …", name, sales, shop.buyers);
        try (Session session = lab.session()) {
            session.run(String.format(Locale.ROOT, "CALL bench.make_shop('%s', %d, %d)", name, sales, shop.buyers));
        }
        shop.settle();
        return shop;
    }

    String name() {
        return name;
    }

    int sales() {
        return sales;
    }

    int buyers() {
        return buyers;
    }

    /** The projection's name. */
    String fact() {
        return name + ".sale_fact";
    }

    /** The name of another projection, which no rollup reads. */
    String label() {
        return name + ".label";
    }

    /** Creates and fills {@link #label}; returns this shop. */
    Shop deriveLabel() throws SQLException {
        try (Session session = lab.session()) {
            session.run(String.format(Locale.ROOT, "CALL bench.derive_label('%s')", name));
            session.run("VACUUM (ANALYZE) " + label());
        }
        settle();
        return this;
    }

    /** Creates and fills the projection and the rollup, unless they exist already; returns this shop. */
    Shop derive() throws SQLException {
        if (!derived) {
            fill();
            rollUp();
            settle();
        }
        return this;
    }

    boolean derived() {
        return derived;
    }

    /** Creates the projection and fills it by merges; returns the seconds that this took. */
    double fill() throws SQLException {
        try (Session session = lab.session()) {
            long start = System.nanoTime();
            long told = start;
            session.run(String.format(Locale.ROOT, "CALL bench.derive_fact('%s')", name));
            long done = 0;
            while (true) {
                String[] result = session.text(String.format(
                                Locale.ROOT, "SELECT concat_ws(' ', keys, more) FROM tally.merge('%s')", fact()))
                        .split(" ");
                done += Long.parseLong(result[0]);
                if (result[1].equals("f")) {
                    break;
                }
                if (System.nanoTime() - told > 10_000_000_000L) {
                    told = System.nanoTime();
                    lab.say("filled %,d of %,d", done, sales);
                }
            }
            derived = true;
            return (System.nanoTime() - start) / 1e9;
        }
    }

    /** Creates the rollup, which also fills it; returns the seconds that this took. */
    double rollUp() throws SQLException {
        try (Session session = lab.session()) {
            return session.seconds(String.format(Locale.ROOT, "CALL bench.derive_rollup('%s')", name));
        }
    }

    /** Runs vacuum, analyze and a checkpoint now, so that none is due during a measurement. */
    void settle() throws SQLException {
        try (Session session = lab.session()) {
            session.run(String.format(Locale.ROOT, "VACUUM (ANALYZE) %s.sale", name));
            session.run(String.format(Locale.ROOT, "VACUUM (ANALYZE) %s.buyer", name));
            if (derived) {
                session.run("VACUUM (ANALYZE) " + fact());
            }
            session.run("CHECKPOINT");
        }
    }

    /** An UPDATE of {@code rows} random sales among the newest {@code among}. */
    String update(Random random, int rows, int among) {
        String ids = random.ints(sales - among + 1, sales + 1)
                .distinct()
                .limit(rows)
                .mapToObj(Integer::toString)
                .collect(Collectors.joining(","));
        return String.format(Locale.ROOT, "UPDATE %s.sale SET amount = amount + 1 WHERE id = ANY ('{%s}')", name, ids);
    }

    /** Fails unless the projection and the rollup equal their definitions. */
    void requireExact() throws SQLException {
        try (Session session = lab.session()) {
            session.run(String.format(Locale.ROOT, "SELECT tally.refresh('%s')", fact()));
            if (!session.text(String.format(Locale.ROOT, "SELECT bench.same_sums('%s')", name))
                    .equals("t")) {
                throw new IllegalStateException(String.format(
                        Locale.ROOT, "%s or the rollup above it is not what its definition says.", fact()));
            }
        }
        lab.say("%s: stored rows are what their definitions say", name);
    }

    /** Creates materialized views with the same rows and unique indexes as the projection and the rollup. */
    void materialize(Session session) throws SQLException {
        for (String sql : List.of(
                "CREATE MATERIALIZED VIEW %1$s.fact AS SELECT * FROM %1$s.sale_fact_def",
                "CREATE UNIQUE INDEX ON %1$s.fact (id)",
                "CREATE MATERIALIZED VIEW %1$s.totals AS SELECT * FROM %1$s.buyer_sales_def",
                "CREATE UNIQUE INDEX ON %1$s.totals (buyer_id)",
                "ANALYZE")) {
            session.run(String.format(Locale.ROOT, sql, name));
        }
    }

    /** Refreshes both materialized views with CONCURRENTLY; returns the seconds that this took. */
    double refreshMaterialized(Session session) throws SQLException {
        double seconds = 0;
        for (String view : List.of("fact", "totals")) {
            seconds += session.seconds(
                    String.format(Locale.ROOT, "REFRESH MATERIALIZED VIEW CONCURRENTLY %s.%s", name, view));
        }
        return seconds;
    }

    void dropMaterialized(Session session) throws SQLException {
        session.run(String.format(Locale.ROOT, "DROP MATERIALIZED VIEW %1$s.fact, %1$s.totals", name));
    }

    /** Brings the projections up to date whose names match the pattern. */
    static void refresh(Session session, String views) throws SQLException {
        session.run(String.format(
                Locale.ROOT,
                "SELECT tally.refresh(name) FROM tally.status WHERE kind = 'projection' AND name LIKE '%s'",
                views));
    }

    /** Fails unless the projections whose names match the pattern equal their definitions. Slow for large tables. */
    static void requireVerified(Session session, String views) throws SQLException {
        refresh(session, views);
        if (session.number(String.format(
                        Locale.ROOT,
                        "SELECT count(*) FROM tally.status s CROSS JOIN LATERAL tally.verify(s.name) v WHERE s.kind = 'projection' AND s.name LIKE '%s'",
                        views))
                != 0) {
            throw new IllegalStateException(
                    String.format(Locale.ROOT, "What %s names is not what its definition says.", views));
        }
    }

    /** A LIKE pattern that matches the name of each of its views. */
    String views() {
        return name + ".%";
    }

    @Override
    public void close() throws SQLException {
        try (Session session = lab.session()) {
            session.run(String.format(Locale.ROOT, "CALL bench.drop_shop('%s')", name));
        }
    }
}
