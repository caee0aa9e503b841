package dev.countersink.bench.engine;

import java.util.List;

/** The first fill of a projection, in bounded merges, against one CREATE TABLE AS. */
final class Backfill implements Scenario {
    @Override
    public String name() {
        return "backfill";
    }

    @Override
    public String does() {
        return "A projection of 20 million rows is filled from nothing by merges of at most 50,000 keys, each a transaction; against one "
                + "CREATE TABLE AS of its definition and the same unique index on it, once, in the same run. The rollup above is made afterwards.";
    }

    @Override
    public int minutes() {
        return 6;
    }

    @Override
    public Outcome run(Lab lab) throws Exception {
        Shop shop = lab.large();
        if (shop.derived()) {
            return Outcome.of(Figure.only("a backfill", "was done before, without a stop-watch: name backfill first"));
        }
        double copy;
        try (Session session = lab.session()) {
            lab.say("CREATE TABLE AS …");
            copy = session.seconds("CREATE TABLE %1$s.copy AS SELECT * FROM %1$s.sale_fact_def".formatted(shop.name()))
                    + session.seconds("CREATE UNIQUE INDEX ON %s.copy (id)".formatted(shop.name()));
            session.run("DROP TABLE %s.copy".formatted(shop.name()));
            session.run("CHECKPOINT");
        }
        double fill = shop.fill();
        double rollUp = shop.rollUp();
        shop.settle();
        shop.requireExact();
        return new Outcome(
                List.of(
                        new Figure(
                                "CREATE TABLE AS and index / backfill, %,d rows".formatted(shop.sales()),
                                "%.1f / %.1f s".formatted(copy, fill),
                                copy / fill,
                                Aim.atLeast(0.3)),
                        Figure.only("a rollup added above, filled at once", "%.1f s".formatted(rollUp))),
                List.of(Plot.bars(
                        name(),
                        "Filling %,d rows".formatted(shop.sales()),
                        "s",
                        List.of("CREATE TABLE AS, unique index", "backfill in bounded merges"),
                        Plot.Series.bars("", copy, fill))));
    }
}
