package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class LiveReadTest {
    /** Rows read from base tables, summed over the nodes of a plan that was run. */
    private static final String ROWS_READ = """
            WITH RECURSIVE node AS (
                SELECT p -> 0 -> 'Plan' AS n FROM (SELECT app.plan_of(%s)::jsonb AS p) x
                UNION ALL SELECT child FROM node, jsonb_array_elements(n -> 'Plans') child)
            SELECT coalesce(sum(((n ->> 'Actual Rows')::numeric + coalesce((n ->> 'Rows Removed by Filter')::numeric, 0)) * (n ->> 'Actual Loops')::numeric), 0)
            FROM node WHERE n ->> 'Relation Name' IN ('member', 'club')""";

    @Test
    void aReadByKeyTouchesOnlyThePendingKeys() throws Exception {
        try (Engine engine = new Engine()) {
            engine.run("""
                    SET random_page_cost = 1.1; -- a table as small as this is else read as a whole
                    CREATE TABLE app.club (id bigint PRIMARY KEY, name text);
                    CREATE TABLE app.member (id bigint PRIMARY KEY, club_id bigint, score int);
                    CREATE INDEX ON app.member (club_id);
                    INSERT INTO app.club SELECT i, 'c' || i FROM generate_series(1, 1000) i;
                    INSERT INTO app.member SELECT i, i % 1000 + 1, i % 10 FROM generate_series(1, 20000) i;
                    CREATE VIEW app.club_def AS SELECT c.id, c.name, count(m.id) AS members, sum(m.score) AS score
                        FROM app.club c LEFT JOIN app.member m ON m.club_id = c.id GROUP BY c.id;
                    SELECT tally.create_projection('app.fact', 'app.club_def', '{id}');
                    SELECT tally.watch('app.fact', 'app.club', '{id}');
                    SELECT tally.watch('app.fact', 'app.member', '{club_id}');
                    SELECT tally.create_rollup('app.sizes', 'app.fact', '{members}', '{"clubs":"count(*)","s":"sum(score)"}');
                    SELECT tally.activate('app.fact');
                    CREATE FUNCTION app.plan_of(query text) RETURNS json LANGUAGE plpgsql AS $$
                    DECLARE plan json; BEGIN EXECUTE 'EXPLAIN (ANALYZE, FORMAT json) ' || query INTO plan; RETURN plan; END $$;
                    SELECT tally.refresh('app.fact');
                    ANALYZE app.club, app.member, app.fact, app.sizes;
                    UPDATE app.member SET score = 100 WHERE id IN (1, 1001, 7, 8)""");
            assertThat(rowsRead(engine, "SELECT * FROM app.fact_live WHERE id = 2"))
                    .isBetween(1L, 100L);
            assertThat(rowsRead(engine, "SELECT * FROM app.fact_live WHERE id = 3"))
                    .isZero();
            assertThat(rowsRead(engine, "SELECT * FROM app.sizes_live WHERE members = 20"))
                    .isBetween(1L, 200L);
            assertThat(rowsRead(engine, "SELECT * FROM app.club_def")).isGreaterThan(20000);
            assertThat(engine.number("SELECT score FROM app.fact_live WHERE id = 2"))
                    .isEqualTo(engine.number("SELECT score FROM app.club_def WHERE id = 2"))
                    .isGreaterThan(200);
        }
    }

    private static long rowsRead(Engine engine, String query) {
        return engine.number(ROWS_READ.formatted("'" + query + "'"));
    }
}
