package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Every kind of view can be kept, if its rows can be identified by a key. */
class DefinitionsTest {
    private static final String TABLES = """
            CREATE TABLE app.club (id int PRIMARY KEY, name text, parent_id int);
            CREATE TABLE app.member (id int PRIMARY KEY, club_id int, tag text, score int);
            CREATE INDEX ON app.member (club_id);
            CREATE INDEX ON app.club (parent_id);
            INSERT INTO app.club SELECT i, 'c' || i % 5, nullif(i / 3, 0) FROM generate_series(1, 15) i;
            INSERT INTO app.member SELECT i, nullif(i % 16, 0), nullif('t' || i % 4, 't3'), i % 9 FROM generate_series(1, 120) i""";

    @ParameterizedTest(name = "{0}")
    @CsvSource(delimiter = '|', textBlock = """
            outer join with DISTINCT | '' | SELECT DISTINCT c.id, c.name, m.tag, m.tag IS NULL AS bare FROM app.club c LEFT JOIN app.member m ON m.club_id = c.id | tag
            full join | '' | SELECT coalesce(c.id, m.club_id) AS id, count(m.*) AS n, min(c.name) AS name FROM app.club c FULL JOIN app.member m ON m.club_id = c.id GROUP BY coalesce(c.id, m.club_id) | ''
            window functions | '' | SELECT club_id AS id, id AS member_id, rank() OVER w AS place, score - avg(score) OVER (PARTITION BY club_id) AS ahead, lag(tag) OVER w AS before FROM app.member WINDOW w AS (PARTITION BY club_id ORDER BY score DESC, id) | member_id
            LATERAL with LIMIT | '' | SELECT c.id, x.nth, x.tag, x.score FROM app.club c CROSS JOIN LATERAL (SELECT row_number() OVER (ORDER BY m.score DESC, m.id) AS nth, m.tag, m.score FROM app.member m WHERE m.club_id = c.id ORDER BY 1 LIMIT 3) x | nth
            correlated subqueries and EXISTS | '' | SELECT c.id, (SELECT count(*) FROM app.member m WHERE m.club_id = c.id) AS n, EXISTS (SELECT FROM app.member m WHERE m.club_id = c.id AND m.score > 6) AS good, ARRAY(SELECT m.tag FROM app.member m WHERE m.club_id = c.id ORDER BY m.id) AS tags FROM app.club c | ''
            documents | '' | SELECT c.id, jsonb_build_object('name', c.name, 'members', coalesce(jsonb_agg(jsonb_build_object('id', m.id, 'tag', m.tag) ORDER BY m.id) FILTER (WHERE m.id IS NOT NULL), '[]')) AS doc FROM app.club c LEFT JOIN app.member m ON m.club_id = c.id GROUP BY c.id | ''
            UNION ALL and EXCEPT | '' | SELECT id, 'club' AS what, name AS text FROM app.club UNION ALL (SELECT club_id, 'tag', tag FROM app.member EXCEPT SELECT club_id, 'tag', 't1' FROM app.member) | what,text
            GROUPING SETS and HAVING | '' | SELECT club_id AS id, tag, grouping(tag) AS whole, count(*) AS n, sum(score) AS s FROM app.member GROUP BY GROUPING SETS ((club_id, tag), (club_id)) HAVING count(*) > 1 | tag,whole
            recursive ancestors | WITH RECURSIVE down AS (SELECT id FROM changed UNION SELECT c.id FROM app.club c JOIN down d ON c.parent_id = d.id) SELECT id FROM down | WITH RECURSIVE up AS (SELECT id, id AS at, 0 AS steps FROM app.club UNION SELECT up.id, c.parent_id, steps + 1 FROM up JOIN app.club c ON c.id = up.at WHERE c.parent_id IS NOT NULL AND steps < 5) SELECT id, at AS ancestor, min(steps) AS steps FROM up GROUP BY id, at | ancestor
            """)
    void aDefinitionIsKept(String what, String expand, String definition, String identity) throws Exception {
        long seed = Long.getLong("countersink.seed", System.nanoTime());
        System.out.printf("DefinitionsTest, %s: -Dcountersink.seed=%d%n", what, seed);
        Random random = new Random(seed);
        try (Engine engine = new Engine()) {
            engine.run(TABLES + "; CREATE VIEW app.def AS " + definition);
            engine.run("SELECT tally.create_projection('app.fact', 'app.def', '{id}', %s)"
                    .formatted(identity.isEmpty() ? "NULL" : "'{id,%s}'".formatted(identity)));
            if (expand.isEmpty()) {
                engine.run(
                        "SELECT tally.watch('app.fact', 'app.club', '{id}'); SELECT tally.watch('app.fact', 'app.member', '{club_id}')");
            } else {
                engine.run("SELECT tally.watch('app.fact', 'app.club', '{id}', '%s')"
                        .formatted(expand.replace("'", "''")));
            }
            if (!definition.contains("app.club")) {
                assertThat(engine.number("SELECT count(*) FROM tally.source WHERE relation = 'app.club'::regclass"))
                        .isOne();
            }
            engine.run(
                    "SELECT tally.create_rollup('app.total', 'app.fact', '{id}', '{\"n\":\"count(*)\"}'); SELECT tally.activate('app.fact')");
            engine.write("SELECT 1");
            for (int i = 0; i < 12; i++) {
                engine.write(statement(random));
            }
        }
    }

    private static String statement(Random random) {
        int id = random.nextInt(16) + 1;
        int other = random.nextInt(16) + 1;
        return switch (random.nextInt(8)) {
            case 0 ->
                "UPDATE app.member SET club_id = nullif(%d, 16), score = score + 1 WHERE id %% 16 = %d"
                        .formatted(id, other);
            case 1 -> "DELETE FROM app.member WHERE club_id = %d AND id %% 2 = 0".formatted(id);
            case 2 ->
                "INSERT INTO app.member SELECT max(id) + 1, %d, 't%d', %d FROM app.member"
                        .formatted(id, other % 4, other % 9);
            case 3 -> "UPDATE app.club SET parent_id = nullif(%d, 16) WHERE id = %d".formatted(other, id);
            case 4 -> "UPDATE app.club SET name = 'renamed' WHERE id %% 4 = %d".formatted(id % 4);
            case 5 -> "DELETE FROM app.club WHERE id = %d".formatted(id);
            case 6 ->
                "INSERT INTO app.club VALUES (%d, 'new', %d) ON CONFLICT (id) DO UPDATE SET name = excluded.name, parent_id = excluded.parent_id"
                        .formatted(id, other);
            default -> "UPDATE app.member SET tag = NULL WHERE club_id = %d".formatted(id);
        };
    }
}
