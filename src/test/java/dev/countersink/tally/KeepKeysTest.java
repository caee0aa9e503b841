package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Where a primary key or a group of a view may have several rows, tally.keep takes all columns for the identity. */
class KeepKeysTest {
    private final Engine engine = new Engine();

    @AfterEach
    void close() throws Exception {
        engine.close();
    }

    @Test
    void rowsThatShareAKeyAreAllKept() {
        engine.run("""
                CREATE TABLE app.t (id int PRIMARY KEY, v int, g int, arr int[], x xml); INSERT INTO app.t SELECT i, i, i % 3, ARRAY[i, i + 1], '<a/>' FROM generate_series(1, 5) i;
                CREATE TABLE app.u (id int PRIMARY KEY, v int); INSERT INTO app.u SELECT i, i + 1 FROM generate_series(1, 5) i;
                CREATE VIEW app.v1_def AS SELECT id, v FROM app.t UNION SELECT id, v FROM app.u;
                CREATE VIEW app.v2_def AS SELECT t.id, e, x FROM app.t, unnest(arr) e;
                CREATE VIEW app.v3_def AS SELECT g, count(*) AS n FROM app.t GROUP BY ROLLUP (g);
                CREATE VIEW app.v4_def AS SELECT id, unnest(arr) AS e FROM app.t;
                CREATE VIEW app.v5_def AS SELECT * FROM app.v4_def;
                CREATE VIEW app.v6_def AS SELECT g, v, count(*) AS n FROM app.t GROUP BY GROUPING SETS ((g), (v), ());
                CREATE VIEW app.v7_def AS SELECT id, v, 't' AS k FROM app.t UNION ALL SELECT id, v, 'u' FROM app.u;
                CREATE VIEW app.v8_def AS SELECT id, (SELECT sum(e) FROM unnest(arr) e) AS s FROM app.t;
                CREATE TABLE app.w (a int, b int, PRIMARY KEY (a, b)); INSERT INTO app.w VALUES (1, 1), (1, 2);
                CREATE VIEW app.v9_def AS SELECT 't' AS k, id, v FROM app.t UNION ALL SELECT 'w', a, b FROM app.w;
                CREATE VIEW app.v10_def AS SELECT id, v, 't' AS k FROM app.t UNION ALL SELECT id, v + 1, 'u' FROM app.u UNION ALL SELECT id, -v, 'u' FROM app.t;
                CREATE VIEW app.v11_def AS SELECT t.id, n FROM app.t CROSS JOIN (VALUES (1), (2)) w(n);
                CREATE VIEW app.v12_def AS WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT t.id, r.n FROM app.t CROSS JOIN r;
                CREATE VIEW app.v13_def AS SELECT 't' AS k, t.id, u.v FROM app.t JOIN app.u ON u.id = t.v UNION ALL SELECT 'u', id, v FROM app.u;
                CREATE VIEW app.v14_def AS SELECT 't' AS k, t.id, u.v FROM app.t JOIN app.u ON u.v >= t.v UNION ALL SELECT 'u', id, v FROM app.u;
                CREATE VIEW app.v15_def AS SELECT 't' AS k, id, v FROM app.t UNION ALL SELECT 'x', * FROM (VALUES (1, 2), (1, 3)) x;""");
        for (int i = 1; i <= 15; i++) {
            engine.run("SELECT tally.keep('app.v%1$d', 'app.v%1$d_def', allow_every_key => true)".formatted(i));
        }
        assertThat(
                        engine.text(
                                "SELECT string_agg(relation_name || identity::text, ' ' ORDER BY id) FROM tally.derived_view WHERE schema_name = 'app'"))
                .isEqualTo("v1{id,v} v2{id,e} v3{g,n} v4{id,e} v5{id,e} v6{g,v,n} v7{k,id} v8{id} "
                        + "v9{k,id,v} v10{k,id,v} v11{id,n} v12{id,n} v13{k,id} v14{k,id,v} v15{k,id,v}");
        engine.write(
                "SELECT 1",
                "UPDATE app.t SET arr = '{7,8}', v = v + 1 WHERE id < 3",
                "UPDATE app.u SET v = 9 WHERE id = 1",
                "DELETE FROM app.u WHERE id = 4",
                "INSERT INTO app.w VALUES (1, 3), (3, 1); DELETE FROM app.w WHERE b = 2");
        assertThat(engine.number("SELECT count(*) FROM tally.health WHERE NOT ok AND view LIKE 'app.%'"))
                .isZero();
    }
}
