package dev.countersink.testing;

/** The smallest application: a table and a derived view. */
public final class ItemView {
    public static final String NAME = "app.item_fact";

    private ItemView() {}

    public static void create(Sql sql) {
        sql.run("""
                CREATE SCHEMA app;
                CREATE TABLE app.item (id bigint PRIMARY KEY, n int NOT NULL);
                CREATE VIEW app.item_fact_def AS SELECT id, 100 / n AS share FROM app.item;
                SELECT tally.create_projection('app.item_fact', 'app.item_fact_def', '{id}');
                SELECT tally.watch('app.item_fact', 'app.item', '{id}');
                SELECT tally.activate('app.item_fact');
                """);
    }
}
