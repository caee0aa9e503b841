package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.testing.Differences;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
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
                DO $do$ DECLARE h text; BEGIN EXECUTE $sql$%s$sql$; EXCEPTION WHEN OTHERS THEN GET STACKED DIAGNOSTICS h = PG_EXCEPTION_HINT; INSERT INTO hint VALUES (h); END $do$
                """.formatted(statement));
        String hint = engine.text("SELECT hint FROM hint");
        engine.run("DROP TABLE hint");
        return hint;
    }

    @Test
    void tablesOfOneNameAndTablesNamedLikeAliasesAreToldApart() {
        engine.run("""
                CREATE SCHEMA b;
                CREATE TABLE app.t (id int PRIMARY KEY, v int); CREATE TABLE b.t (id int PRIMARY KEY, t_id int, v int);
                CREATE TABLE app.changed (id int PRIMARY KEY, t_id int); CREATE TABLE app.changed_2 (id int PRIMARY KEY, t_id int); CREATE TABLE app.f1 (id int PRIMARY KEY, tags int[]);
                INSERT INTO app.t SELECT g, g FROM generate_series(1, 6) g; INSERT INTO b.t SELECT g, 1 + g % 6, g FROM generate_series(1, 9) g;
                INSERT INTO app.changed SELECT g, 1 + g % 6 FROM generate_series(1, 9) g; INSERT INTO app.changed_2 SELECT g, 1 + g % 9 FROM generate_series(1, 9) g; INSERT INTO app.f1 SELECT g, ARRAY[g, g + 1] FROM generate_series(1, 6) g;
                CREATE VIEW app.many_def AS SELECT t.id,
                    (SELECT count(*) FROM b.t x JOIN app.t y ON y.id = x.v WHERE x.t_id = t.id) AS n,
                    (SELECT sum(d.id) FROM app.changed c JOIN app.changed_2 d ON d.t_id = c.id JOIN b.t z ON z.id = d.id WHERE c.t_id = t.id) AS s,
                    (SELECT sum(f.id) FROM app.f1 f CROSS JOIN LATERAL unnest(f.tags) AS tag WHERE tag = t.id) AS f FROM app.t;
                SELECT tally.keep('app.many', 'app.many_def'); SELECT tally.refresh('app.many');
                UPDATE b.t SET v = v + 1, t_id = 2 WHERE id = 3; DELETE FROM app.changed WHERE id = 4; UPDATE app.changed_2 SET t_id = 5 WHERE id < 4; UPDATE app.f1 SET tags = '{3}' WHERE id = 1;
                DELETE FROM b.t WHERE id = 7; SELECT tally.refresh('app.many');
                """);
        assertThat(engine.text(Differences.sql("to_jsonb(x)", "app.many", "app.many_def")))
                .isEmpty();
    }

    @Test
    void severalRowsOfAKeyAreToldApartByAllTheirColumnsOrRefused() {
        engine.run("""
                CREATE VIEW app.line_def AS SELECT c.id, o.amount, o.id % 50 AS part FROM app.customer c JOIN app.orders o ON o.customer_id = c.id;
                CREATE VIEW app.same_def AS SELECT c.id, 1 AS one FROM app.customer c JOIN app.orders o ON o.customer_id = c.id;
                CREATE VIEW app.hidden_def AS SELECT c.region, count(*) AS n FROM app.customer c GROUP BY c.region, c.id HAVING count(*) > 0;
                UPDATE app.orders SET customer_id = 1 WHERE id > 95;
                """);
        engine.run("SELECT tally.keep('app.line', 'app.line_def', '{id}'); SELECT tally.refresh('app.line')");
        engine.run("UPDATE app.orders SET amount = amount + 1 WHERE id % 5 = 0; SELECT tally.refresh('app.line')");
        assertThat(engine.text(Differences.sql("to_jsonb(x)", "app.line", "app.line_def")))
                .isEmpty();
        assertThat(engine.refused("TL018", "SELECT tally.keep('app.same', 'app.same_def', '{id}')"))
                .contains("the same row more than once");
        assertThat(engine.refused("TL018", "SELECT tally.keep('app.hidden', 'app.hidden_def')"))
                .contains("the same row more than once");
    }

    @Test
    void whoMayNotIsToldWhatToGrant() {
        engine.run("""
                CREATE ROLE keep_dev; GRANT countersink_owner TO keep_dev; CREATE SCHEMA dev AUTHORIZATION keep_dev; GRANT USAGE ON SCHEMA app TO keep_dev;
                SET ROLE keep_dev; CREATE VIEW dev.orders_def AS SELECT * FROM app.orders;
                """);
        assertThat(engine.refused("TL018", "SELECT tally.keep('dev.orders', 'dev.orders_def')"))
                .contains("keep_dev does not own app.orders");
        engine.run("RESET ROLE; ALTER TABLE app.orders OWNER TO keep_dev; SET ROLE keep_dev");
        assertThat(engine.refused("TL018", "SELECT tally.keep('app.mine', 'dev.orders_def')"))
                .contains("keep_dev may not create tables in schema app");
        engine.run(
                "SELECT tally.keep('dev.orders', 'dev.orders_def'); RESET ROLE; CREATE ROLE keep_reader; GRANT countersink_reader TO keep_reader; SET ROLE keep_reader");
        assertThat(engine.text("SELECT concat(source, reach, key_columns) FROM tally.explain('dev.orders_def')"))
                .isEqualTo("app.ordersexact{id}");
        engine.run(
                "RESET ROLE; SELECT tally.drop('dev.orders'); REASSIGN OWNED BY keep_dev TO CURRENT_USER; DROP OWNED BY keep_dev; DROP ROLE keep_dev, keep_reader");
    }

    @Test
    void theHintsAboutWhatCannotBeWatchedOrDependsOnTheClockWorkAsTheyStand() {
        engine.run("""
                CREATE SCHEMA "A b"; ALTER TABLE app.orders ADD COLUMN at timestamptz DEFAULT now();
                CREATE MATERIALIZED VIEW app.regions AS SELECT region, count(*) AS n FROM app.customer GROUP BY region;
                CREATE VIEW "A b".fresh_def AS SELECT id, at > now() AS fresh FROM app.orders;
                CREATE VIEW "A b".late_def AS SELECT customer_id, count(*) FILTER (WHERE at < now()) AS n FROM app.orders GROUP BY customer_id;
                CREATE VIEW "A b".region_def AS SELECT c.id, r.n FROM app.customer c JOIN app.regions r ON r.region = c.region;
                """);
        for (String view : new String[] {"fresh", "late", "region"}) {
            String hint = hint("SELECT tally.keep('\"A b\".%1$s', '\"A b\".%1$s_def')".formatted(view));
            Matcher steps =
                    Pattern.compile("SELECT tally\\.\\w+\\([^;]*?\\)(?=[;.]|$)").matcher(hint);
            while (steps.find()) {
                engine.run(steps.group());
            }
            engine.run("SELECT tally.refresh('\"A b\".%s')".formatted(view));
        }
        assertThat(engine.number("SELECT count(*) FROM tally.status WHERE name LIKE '\"A b\".%' AND state = 'active'"))
                .isEqualTo(3);
    }

    @Test
    void whatAConditionKeepsFromACastIsKeptFromItInMergesToo() {
        engine.run("""
                CREATE TABLE app.note (id int PRIMARY KEY, about text, object_id text, body text);
                INSERT INTO app.note SELECT g, CASE g % 3 WHEN 0 THEN 'page' ELSE 'order' END, CASE g % 3 WHEN 0 THEN '/a' || g ELSE (g % 20)::text END, 'b' || g FROM generate_series(1, 60) g;
                CREATE VIEW app.told_def AS SELECT n.id, n.body, o.amount FROM app.note n JOIN app.orders o ON o.id = n.object_id::int WHERE n.about = 'order';
                CREATE VIEW app.noted_of_def AS SELECT o.id, count(n.id) AS notes FROM app.orders o LEFT JOIN app.note n ON n.about LIKE 'ord%r' AND n.about NOT LIKE '%{id}' AND o.id = n.object_id::int GROUP BY o.id;
                CREATE VIEW app.noted_by_def AS SELECT n.object_id::int AS about_id, count(*) AS notes, max(n.body) || '' AS last FROM app.note n WHERE n.about = 'order' GROUP BY 1;
                SELECT tally.keep('app.' || v, 'app.' || v || '_def'), tally.refresh('app.' || v) FROM unnest('{told,noted_of,noted_by}'::text[]) v;
                """);
        for (String write : new String[] {
            "INSERT INTO app.note VALUES (61, 'page', '/b', 'x'), (62, 'order', '7', 'x')",
            "UPDATE app.orders SET amount = amount + 1",
            "UPDATE app.note SET about = 'page', object_id = '/c' WHERE id IN (1, 2)",
            "UPDATE app.note SET about = 'order', object_id = '9' WHERE id IN (3, 61)",
            "DELETE FROM app.note WHERE id < 30"
        }) {
            engine.run(write);
            for (String view : new String[] {"told", "noted_of", "noted_by"}) {
                for (String kept : new String[] {view + "_live", view}) {
                    assertThat(engine.text(Differences.sql("to_jsonb(x)", "app." + kept, "app." + view + "_def")))
                            .as(kept + " after " + write)
                            .isEmpty();
                    engine.run("SELECT tally.refresh('app." + view + "')");
                }
            }
        }
        assertThat(engine.number("SELECT count(*) FROM tally.health WHERE NOT ok"))
                .isZero();
    }

    @Test
    void aRowForWhichTheWayToKeysRaisesHasEveryKeyCompared() {
        engine.run("""
                CREATE TABLE app.kind (id int PRIMARY KEY, numeric_only boolean, pattern text);
                CREATE TABLE app.note (id int PRIMARY KEY, kind_id int, object_id text);
                INSERT INTO app.kind VALUES (1, true, '^1'), (2, false, '(');
                INSERT INTO app.note VALUES (1, 1, '7'), (2, 2, '/a'), (3, 1, '8');
                CREATE VIEW app.told_def AS WITH n AS MATERIALIZED (SELECT n.object_id FROM app.kind k JOIN app.note n ON n.kind_id = k.id WHERE k.numeric_only)
                    SELECT o.id, count(*) AS notes FROM n JOIN app.orders o ON o.id = n.object_id::int GROUP BY o.id;
                CREATE VIEW app.alike_def AS SELECT n.id, count(*) AS kinds FROM app.kind k JOIN app.note n ON n.object_id ~ k.pattern WHERE k.numeric_only GROUP BY n.id;
                CREATE VIEW app.scaled_def AS SELECT o.id, count(k.id) AS kinds FROM app.orders o LEFT JOIN app.kind k ON k.numeric_only AND o.id = k.id * 1000000 / 1000000 GROUP BY o.id;
                SELECT tally.keep('app.' || v, 'app.' || v || '_def', '{id}'), tally.refresh('app.' || v) FROM unnest('{told,alike,scaled}'::text[]) v;
                """);
        for (String write : new String[] {
            "INSERT INTO app.note VALUES (4, 2, '/b'), (5, 1, '9')",
            "UPDATE app.kind SET pattern = '[' WHERE id = 2",
            "INSERT INTO app.kind VALUES (50000, false, '*')",
            "DELETE FROM app.note WHERE id = 1"
        }) {
            engine.run(write);
            for (String view : new String[] {"told", "alike", "scaled"}) {
                for (String kept : new String[] {view + "_live", view}) {
                    assertThat(engine.text(Differences.sql("to_jsonb(x)", "app." + kept, "app." + view + "_def")))
                            .as(kept + " after " + write)
                            .isEmpty();
                    assertThat(engine.text("SELECT (tally.refresh('app." + view + "')).outcome"))
                            .isNotEqualTo("failed");
                }
            }
        }
    }

    @Test
    void aViewOverGroupsHasTheColumnsThatTheyAreGroupedBy() {
        engine.run("""
                CREATE VIEW app.rank_def AS WITH o AS (SELECT customer_id, count(*) AS orders, sum(amount) AS amount FROM app.orders GROUP BY customer_id)
                    SELECT CASE WHEN amount > 15 THEN 'big' ELSE 'small' END AS size, customer_id, orders FROM o WHERE orders > 1;
                CREATE VIEW app.ranked_def AS SELECT r.customer_id AS id, r.orders + 1 AS orders FROM (SELECT * FROM app.rank_def) r WHERE r.size = 'big';
                SELECT tally.keep('app.' || v, 'app.' || v || '_def'), tally.refresh('app.' || v) FROM unnest('{rank,ranked}'::text[]) v;
                UPDATE app.orders SET amount = amount + 2 WHERE customer_id < 5; DELETE FROM app.orders WHERE customer_id = 9 AND id > 20;
                """);
        for (String view : new String[] {"rank", "ranked"}) {
            assertThat(engine.text(Differences.sql("to_jsonb(x)", "app." + view + "_live", "app." + view + "_def")))
                    .isEmpty();
        }
        assertThat(
                        engine.text(
                                "SELECT string_agg(key::text, ' ' ORDER BY relation_name) FROM tally.derived_view WHERE relation_name LIKE 'rank%'"))
                .isEqualTo("{customer_id} {id}");
        engine.run("CREATE VIEW app.size_def AS SELECT size, orders FROM app.rank_def");
        assertThat(engine.refused("TL018", "SELECT tally.keep('app.size', 'app.size_def')"))
                .contains("has no primary key");
    }

    @Test
    void theStatementsThatExplainPrintsWorkForQuotedNamesToo() {
        engine.run("""
                CREATE SCHEMA "My App"; CREATE TABLE "My App"."T %s" ("Id" int PRIMARY KEY, "G '%I" int, v int); INSERT INTO "My App"."T %s" SELECT g, g % 3, g FROM generate_series(1, 9) g;
                CREATE VIEW "My App"."V %s{}'_def" AS SELECT "G '%I", count(*) AS "n %L", avg(v) + 1 AS "a'b" FROM "My App"."T %s" GROUP BY 1;
                CREATE TABLE app.statement AS SELECT s FROM tally.keep_statements('"My App"."V %s{}''_def"') s;
                DO $$ DECLARE s text; BEGIN FOR s IN SELECT x.s FROM app.statement x LOOP EXECUTE s; END LOOP; END $$;
                UPDATE "My App"."T %s" SET "G '%I" = NULL, v = 70 WHERE "Id" = 4;
                """);
        engine.run("SELECT tally.refresh('\"My App\".\"V %s{}''\"')");
        assertThat(engine.text(Differences.sql("to_jsonb(x)", "\"My App\".\"V %s{}'\"", "\"My App\".\"V %s{}'_def\"")))
                .isEmpty();
    }
}
