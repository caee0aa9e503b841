package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What depends on where rows are stored is refused: an UPDATE of a column that nobody reads moves a row, and nothing would be told. */
class OrderOfRowsTest {
    private static final String[] UNORDERED = {
        "SELECT grp, array_agg(v) FROM app.t GROUP BY grp",
        "SELECT grp, array_agg(v ORDER BY 1) FROM app.t GROUP BY grp",
        "SELECT grp, string_agg(v::text, ',') FILTER (WHERE v > 0) FROM app.t GROUP BY grp",
        "SELECT grp, json_agg(v) FROM app.t GROUP BY grp",
        "SELECT grp, jsonb_agg(v) FROM app.t GROUP BY grp",
        "SELECT grp, jsonb_object_agg(id, v) FROM app.t GROUP BY grp",
        "SELECT grp, xmlagg(xmlelement(name x, v)) FROM app.t GROUP BY grp",
        "SELECT grp, count(*) FROM app.t GROUP BY grp HAVING array_agg(v) = '{1}'",
        "SELECT id, row_number() OVER (PARTITION BY grp) FROM app.t",
        "SELECT id, row_number() OVER (PARTITION BY grp ORDER BY 1::int) FROM app.t",
        "SELECT id, first_value(v) OVER w FROM app.t WINDOW w AS (PARTITION BY grp)",
        "SELECT id, lag(v) OVER (PARTITION BY grp) FROM app.t",
        "SELECT id, sum(v) OVER (PARTITION BY grp ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM app.t",
        "SELECT id, array_agg(v) OVER (PARTITION BY grp) FROM app.t",
        "SELECT id, (SELECT string_agg(u.v::text, '') FROM app.t u WHERE u.grp = t.grp) FROM app.t",
        "SELECT id, ARRAY(SELECT u.v FROM app.t u WHERE u.grp = t.grp) FROM app.t",
        "SELECT grp, sum(v::float8) FROM app.t GROUP BY grp",
        "SELECT grp, stddev_pop(v::real) FROM app.t GROUP BY grp",
        "SELECT grp, regr_slope(v, id) FROM app.t GROUP BY grp",
        "SELECT id, avg(v::float8) OVER (PARTITION BY grp) FROM app.t",
    };

    private static final String[] ORDERED = {
        "SELECT grp, array_agg(v ORDER BY v) FROM app.t GROUP BY grp",
        "SELECT grp, string_agg(DISTINCT v::text, ',') FROM app.t GROUP BY grp",
        "SELECT grp, jsonb_object_agg(id, v ORDER BY id, v) FROM app.t GROUP BY grp",
        "SELECT grp, percentile_cont(0.5) WITHIN GROUP (ORDER BY v) FROM app.t GROUP BY grp",
        "SELECT id, row_number() OVER (PARTITION BY grp ORDER BY id) FROM app.t",
        "SELECT id, sum(v) OVER (PARTITION BY grp) FROM app.t",
        "SELECT grp, sum(v::float8 ORDER BY v) FROM app.t GROUP BY grp",
        "SELECT grp, avg(v::float8::numeric) FROM app.t GROUP BY grp",
        "SELECT grp, max(v::float8) FROM app.t GROUP BY grp",
        "SELECT id, rank() OVER (PARTITION BY grp) FROM app.t",
        "SELECT id, (SELECT array_agg(s.v) FROM (SELECT u.v FROM app.t u WHERE u.grp = t.grp ORDER BY u.id LIMIT 3) s) FROM app.t",
        "SELECT id, (SELECT array_agg(e) FROM unnest(arr) e) FROM app.t",
        "SELECT id, ARRAY(SELECT e + 1 FROM unnest(arr) e) FROM app.t",
        "SELECT id, ARRAY(SELECT u.v FROM app.t u WHERE u.grp = t.grp ORDER BY u.v) FROM app.t",
    };

    private final Engine engine = new Engine();

    @BeforeEach
    void table() {
        engine.run("CREATE TABLE app.t (id int PRIMARY KEY, grp int, v int, arr int[], unused int);"
                + " INSERT INTO app.t SELECT i, i % 3, 10 - i, ARRAY[i, 3] FROM generate_series(1, 9) i");
    }

    @AfterEach
    void close() throws Exception {
        engine.close();
    }

    private String declare(int number, String query) {
        engine.run("CREATE VIEW app.v%1$s_def AS SELECT * FROM (%2$s) x(key, value)".formatted(number, query)
                + "; SELECT tally.create_projection('app.v%1$s', 'app.v%1$s_def', '{key}')".formatted(number)
                + "; SELECT tally.watch('app.v%1$s', 'app.t')".formatted(number));
        return "SELECT tally.activate('app.v" + number + "')";
    }

    @Test
    void whatHasNoOrderIsRefusedByName() {
        for (int i = 0; i < UNORDERED.length; i++) {
            assertThat(engine.refused("TL008", declare(i, UNORDERED[i])))
                    .as(UNORDERED[i])
                    .contains("without ORDER BY (the order in which rows are found)");
        }
        assertThat(engine.refused("TL008", "SELECT tally.activate('app.v0')"))
                .isEqualTo(
                        "app.v0_def depends on more than tables: on array_agg(anynonarray) without ORDER BY (the order in which rows are found).");
        engine.run("SELECT tally.allow_function('app.v0', 'array_agg(anynonarray)'); SELECT tally.activate('app.v0')");
    }

    @Test
    void whatHasAnOrderIsKept() {
        for (int i = 0; i < ORDERED.length; i++) {
            engine.run(declare(i, ORDERED[i]));
        }
        engine.write(
                "SELECT 1",
                "UPDATE app.t SET unused = 1 WHERE id < 4",
                "UPDATE app.t SET v = v + 1, grp = 2 WHERE id = 5",
                "DELETE FROM app.t WHERE id = 3");
    }
}
