package dev.countersink.bench.engine;

import java.util.List;
import java.util.Locale;

/** The first fill of a projection in bounded merges, compared with one CREATE TABLE AS. */
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
            copy = session.seconds(String.format(
                            Locale.ROOT, "CREATE TABLE %1$s.copy AS SELECT * FROM %1$s.sale_fact_def", shop.name()))
                    + session.seconds(String.format(Locale.ROOT, "CREATE UNIQUE INDEX ON %s.copy (id)", shop.name()));
            session.run(String.format(Locale.ROOT, "DROP TABLE %s.copy", shop.name()));
            session.run("CHECKPOINT");
        }
        double fill = shop.fill();
        double rollUp = shop.rollUp();
        shop.settle();
        shop.requireExact();
        return new Outcome(
                List.of(
                        new Figure(
                                String.format(
                                        Locale.ROOT, "CREATE TABLE AS and index / backfill, %,d rows", shop.sales()),
                                String.format(Locale.ROOT, "%.1f / %.1f s", copy, fill),
                                copy / fill,
                                Aim.atLeast(0.3)),
                        Figure.only(
                                "a rollup added above, filled at once", String.format(Locale.ROOT, "%.1f s", rollUp))),
                List.of(Plot.bars(
                        name(),
                        String.format(Locale.ROOT, "Filling %,d rows", shop.sales()),
                        "s",
                        List.of("CREATE TABLE AS, unique index", "backfill in bounded merges"),
                        Plot.Series.bars("", copy, fill))));
    }
}
