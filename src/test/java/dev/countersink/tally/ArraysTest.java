package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Views that join by the elements of an array column are kept by key, in both directions. */
class ArraysTest {
    private static final List<String> KEPT = List.of("posts", "tags", "listed", "held", "codes");

    private final Engine engine = new Engine();

    ArraysTest() {
        engine.run("""
                CREATE TABLE app.tag (id int PRIMARY KEY, name varchar(9));
                CREATE TABLE app.post (id int PRIMARY KEY, tag_ids int[], names varchar(9)[]);
                INSERT INTO app.tag SELECT g, 't,"' || g FROM generate_series(1, 12) g;
                INSERT INTO app.post SELECT g, ARRAY[1 + g % 12, 1 + g * 5 % 11, NULL], ARRAY['t,"' || 1 + g % 12] FROM generate_series(1, 90) g;
                CREATE VIEW app.posts_def AS SELECT p.id, array_agg(t.name ORDER BY t.id) AS tags FROM app.post p LEFT JOIN app.tag t ON t.id = ANY (p.tag_ids) GROUP BY p.id;
                CREATE VIEW app.tags_def AS SELECT t.id, count(p.id) AS n FROM app.tag t LEFT JOIN app.post p ON t.id = ANY (p.tag_ids) GROUP BY t.id;
                CREATE VIEW app.listed_def AS SELECT t.id, array_agg(p.id ORDER BY p.id) AS posts FROM app.post p CROSS JOIN LATERAL unnest(p.tag_ids) u(tag_id) JOIN app.tag t ON t.id = u.tag_id GROUP BY t.id;
                CREATE VIEW app.held_def AS SELECT p.id, count(*) AS n FROM app.tag t JOIN app.post p ON p.tag_ids @> ARRAY[t.id] GROUP BY p.id;
                CREATE VIEW app.codes_def AS SELECT p.id, array_agg(t.id ORDER BY t.id) AS ids FROM app.post p JOIN app.tag t ON t.name = ANY (p.names) GROUP BY p.id;
                """);
        KEPT.forEach(name ->
                engine.run("SELECT tally.keep('app.%1$s', 'app.%1$s_def', '{id}'); SELECT tally.refresh('app.%1$s')"
                        .formatted(name)));
    }

    @AfterEach
    void close() throws Exception {
        engine.close();
    }

    @Test
    void everyChangeOfElementsReachesItsKeys() {
        engine.write(
                "UPDATE app.post SET tag_ids = ARRAY[3, 4, NULL], names = names || 't,\"2'::varchar WHERE id % 9 = 0",
                "UPDATE app.tag SET name = name || 'x' WHERE id IN (3, 7)",
                "DELETE FROM app.tag WHERE id = 5",
                "INSERT INTO app.post VALUES (200, '{}', NULL), (201, NULL, '{}'), (202, '{1,12}', '{\"t,\\\"1\"}')",
                "DELETE FROM app.post WHERE id % 7 = 0",
                "UPDATE app.tag SET id = 50 WHERE id = 6",
                "UPDATE app.post SET tag_ids = tag_ids || 50 WHERE id = 202");
    }

    @Test
    void anIndexOfElementsIsNamedAndTaken() {
        String index =
                "SELECT string_agg(index, ', ') FROM tally.explain('app.posts') WHERE source = 'app.tag'::regclass";
        assertThat(engine.text(index)).isEqualTo("CREATE INDEX ON app.post USING gin (tag_ids)");
        engine.run("CREATE INDEX post_tags ON app.post USING gin (tag_ids)");
        assertThat(engine.text(index)).isEqualTo("app.post_tags");
        assertThat(engine.number("SELECT count(*) FROM tally.explain('app.posts') WHERE reach <> 'exact'"))
                .isZero();
    }

    @Test
    void anArrayWhoseTextDependsOnASettingCostsEveryKey() {
        engine.run("""
                CREATE TABLE app.day (day date PRIMARY KEY);
                CREATE TABLE app.plan (id int PRIMARY KEY, days date[]);
                INSERT INTO app.day SELECT date '2026-01-01' + g FROM generate_series(1, 5) g;
                CREATE VIEW app.days_def AS SELECT d.day, count(*) AS n FROM app.day d JOIN app.plan p ON d.day = ANY (p.days) GROUP BY d.day;
                """);
        assertThat(engine.refused("TL026", "SELECT tally.keep('app.days', 'app.days_def', '{day}')"))
                .contains("by its column days, whose values cannot be passed in an array");
        engine.run("SELECT tally.keep('app.days', 'app.days_def', '{day}', allow_every_key => true)");
        engine.write(
                "INSERT INTO app.plan VALUES (1, ARRAY[date '2026-01-03', date '2026-01-04'])",
                "UPDATE app.plan SET days = days[2:2]");
    }
}
