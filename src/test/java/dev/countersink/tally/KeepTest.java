package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** One call keeps a view: by which key, or why not. */
class KeepTest {
    private final Engine engine = new Engine();

    KeepTest() {
        engine.run("""
                CREATE TABLE app.customer (id bigint PRIMARY KEY, region text);
                CREATE TABLE app.orders (id bigint PRIMARY KEY, customer_id bigint REFERENCES app.customer, amount numeric);
                CREATE INDEX ON app.orders (customer_id);
                INSERT INTO app.customer SELECT g, nullif('r' || g % 4, 'r0') FROM generate_series(1, 20) g;
                INSERT INTO app.orders SELECT g, 1 + g % 20, g % 7 FROM generate_series(1, 100) g;
                """);
    }

    @AfterEach
    void close() throws Exception {
        engine.close();
    }

    @Test
    void aViewOverDerivedTablesHasTheirKeys() {
        engine.run("""
                CREATE VIEW app.spent_def AS SELECT c.id, c.region, count(o.id) AS orders, sum(o.amount) AS amount
                    FROM app.customer c LEFT JOIN app.orders o ON o.customer_id = c.id GROUP BY c.id;
                SELECT tally.keep('app.spent', 'app.spent_def');
                CREATE VIEW app.twice_def AS SELECT id, orders * 2 AS orders FROM app.spent;
                SELECT tally.keep('app.twice', 'app.twice_def');
                CREATE VIEW app.region_def AS SELECT region, sum(amount) AS amount, count(*) AS customers FROM app.spent GROUP BY region;
                SELECT tally.keep('app.region', 'app.region_def');
                CREATE VIEW app.named_def AS SELECT region, amount, upper(region) AS name FROM app.region;
                SELECT tally.keep('app.named', 'app.named_def');
                """);
        assertThat(
                        engine.text(
                                "SELECT string_agg(name || ' ' || kind, ', ' ORDER BY name) FROM tally.status WHERE name IN ('app.twice', 'app.region', 'app.named')"))
                .isEqualTo("app.named projection, app.region rollup, app.twice projection");
        for (String write : new String[] {
            "UPDATE app.orders SET amount = amount + 1 WHERE id % 3 = 0",
            "UPDATE app.customer SET region = NULL WHERE id IN (1, 2)",
            "UPDATE app.customer SET region = 'r9' WHERE region IS NULL",
            "DELETE FROM app.orders WHERE customer_id = 5",
            "DELETE FROM app.customer WHERE id = 5"
        }) {
            engine.run(write);
            for (String view : new String[] {"spent", "twice", "region", "named"}) {
                engine.run("SELECT tally.refresh('app." + view + "')");
                String pair =
                        "(TABLE app.%1$s EXCEPT ALL TABLE app.%2$s) UNION ALL (TABLE app.%2$s EXCEPT ALL TABLE app.%1$s)"
                                .formatted(view, view + "_def");
                assertThat(engine.number("SELECT count(*) FROM (" + pair + ") d"))
                        .as(view + " after " + write)
                        .isZero();
            }
        }
    }

    @Test
    void aUniqueColumnIsAKeyWhereTheTableHasNoPrimaryKey() {
        engine.run("""
                CREATE TABLE app.page (slug text NOT NULL, part int, title text, UNIQUE (slug) INCLUDE (title), UNIQUE (part));
                CREATE TABLE app.note (part int, title text, UNIQUE NULLS NOT DISTINCT (part));
                CREATE VIEW app.page_def AS SELECT part, slug FROM app.page;
                CREATE VIEW app.part_def AS SELECT part, title FROM app.page;
                CREATE VIEW app.note_def AS SELECT part, title FROM app.note;
                """);
        assertThat(engine.text("SELECT key_columns FROM tally.explain('app.page_def')"))
                .isEqualTo("{slug}");
        assertThat(engine.text("SELECT key_columns FROM tally.explain('app.note_def')"))
                .isEqualTo("{part}");
        assertThat(engine.refused("TL018", "SELECT tally.explain('app.part_def')"))
                .contains("app.part_def");
    }

    @Test
    void aViewWithoutAKeyIsToldWhichWouldDo() {
        engine.run("""
                CREATE TABLE app.loose (a int);
                CREATE VIEW app.amounts_def AS SELECT amount FROM app.orders;
                CREATE VIEW app.loose_def AS SELECT a FROM app.loose;
                CREATE VIEW app.list_def AS SELECT string_agg(region, ',' ORDER BY id) AS list FROM app.customer;
                CREATE VIEW app.one_def AS SELECT 1 AS id, string_agg(region, ',' ORDER BY id) AS list FROM app.customer;
                """);
        assertThat(hint("SELECT tally.explain('app.amounts_def')"))
                .startsWith("Add the key of a table to its columns (id of app.orders)");
        assertThat(hint("SELECT tally.keep('app.x', 'app.loose_def')")).startsWith("Give its table a primary key");
        assertThat(hint("SELECT tally.keep('app.x', 'app.list_def')"))
                .startsWith("Add a constant to its columns, 1 AS id");
        engine.run("SELECT tally.keep('app.one', 'app.one_def'); SELECT tally.refresh('app.one')");
        engine.run("UPDATE app.customer SET region = 'x' WHERE id = 3; SELECT tally.refresh('app.one')");
        assertThat(engine.number("SELECT count(*) FROM (TABLE app.one EXCEPT ALL TABLE app.one_def) d"))
                .isZero();
    }

    private String hint(String statement) {
        engine.run("""
                CREATE TEMP TABLE hint (hint text);
                DO $do$ DECLARE h text; BEGIN EXECUTE $sql$%s$sql$; EXCEPTION WHEN SQLSTATE 'TL018' THEN GET STACKED DIAGNOSTICS h = PG_EXCEPTION_HINT; INSERT INTO hint VALUES (h); END $do$
                """.formatted(statement));
        String hint = engine.text("SELECT hint FROM hint");
        engine.run("DROP TABLE hint");
        return hint;
    }
}
