package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What the owner has set on a derived table is kept in a redefinition, or the redefinition is refused and names it. */
class RedefineSettingsTest {
    private static final String SETTINGS = """
            SELECT string_agg(line, E'\\n' ORDER BY line) FROM (
                SELECT concat_ws(' ', 'relation', c.relname, c.relkind, c.relreplident, c.relrowsecurity, c.relforcerowsecurity, c.reloptions, t.reloptions,
                       (SELECT string_agg(a::text, ',' ORDER BY a::text) FROM unnest(c.relacl) a), CASE WHEN c.relkind = 'r' THEN obj_description(c.oid, 'pg_class') END) AS line
                FROM pg_class c LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
                WHERE c.relnamespace = 'app'::regnamespace AND c.relname ~ '^(fact|sums)(_live|_def)?$' AND c.relname <> 'fact_def'
                UNION ALL
                SELECT concat_ws(' ', 'column', a.attrelid::regclass, a.attname, row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum), nullif(a.attstattarget, -1), a.attstorage, a.attcompression, a.attoptions, a.attacl,
                       a.attnotnull, col_description(a.attrelid, a.attnum))
                FROM pg_attribute a WHERE a.attrelid IN ('app.fact'::regclass, 'app.sums'::regclass) AND a.attnum > 0
                UNION ALL
                SELECT concat_ws(' ', 'policy', p.polrelid::regclass, p.polname, p.polcmd, p.polpermissive, p.polroles::regrole[], pg_get_expr(p.polqual, p.polrelid),
                       pg_get_expr(p.polwithcheck, p.polrelid), obj_description(p.oid, 'pg_policy')) FROM pg_policy p
                UNION ALL
                SELECT concat_ws(' ', 'published', b.pubname, r.prrelid::regclass, pg_get_expr(r.prqual, r.prrelid), r.prattrs)
                FROM pg_publication_rel r JOIN pg_publication b ON b.oid = r.prpubid
                UNION ALL
                SELECT concat_ws(' ', 'index', pg_get_indexdef(x.indexrelid), x.indisclustered, x.indisreplident, obj_description(x.indexrelid, 'pg_class'))
                FROM pg_index x WHERE x.indrelid IN ('app.fact'::regclass, 'app.sums'::regclass)
                UNION ALL
                SELECT pg_get_statisticsobjdef(s.oid) FROM pg_statistic_ext s) x""";

    private final Engine engine = new Engine();

    RedefineSettingsTest() {
        engine.run("""
                DO 'BEGIN CREATE ROLE app_reader NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END';
                CREATE TABLE app.item (id int PRIMARY KEY, grp int, size int, word text);
                INSERT INTO app.item SELECT i, i % 3, i % 7, 'w' || i FROM generate_series(1, 50) i;
                CREATE VIEW app.item_def AS SELECT id, grp, size, word FROM app.item;
                CREATE VIEW app.item_def2 AS SELECT id, grp, size * 10 AS size, word FROM app.item;
                CREATE VIEW app.narrow AS SELECT id, grp, size FROM app.item;
                SELECT tally.create_projection('app.fact', 'app.item_def', '{id}');
                SELECT tally.watch('app.fact', 'app.item', '{id}');
                SELECT tally.create_rollup('app.sums', 'app.fact', '{grp}', '[{"name":"s","measure":"sum(size)"},{"name":"n","measure":"count(*)"}]');
                SELECT tally.activate('app.fact');
                """);
        engine.write("SELECT 1");
    }

    @AfterEach
    void close() throws Exception {
        engine.close();
    }

    @Test
    void whatTheOwnerSetIsThereAfterwards() {
        engine.run("""
                ALTER TABLE app.fact SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, toast.autovacuum_enabled = false);
                ALTER TABLE app.sums SET (fillfactor = 55);
                ALTER TABLE app.fact ALTER COLUMN word SET STATISTICS 500, ALTER COLUMN word SET STORAGE EXTERNAL, ALTER COLUMN word SET COMPRESSION pglz,
                    ALTER COLUMN grp SET (n_distinct = -0.5), ALTER COLUMN id SET NOT NULL;
                CREATE INDEX an_index_of_my_own_with_a_rather_long_name_of_sixty_two_bytes ON app.fact (word, size);
                COMMENT ON INDEX app.an_index_of_my_own_with_a_rather_long_name_of_sixty_two_bytes IS 'ours';
                ALTER TABLE app.fact CLUSTER ON an_index_of_my_own_with_a_rather_long_name_of_sixty_two_bytes;
                CREATE UNIQUE INDEX id_alone ON app.fact (id); ALTER TABLE app.fact REPLICA IDENTITY USING INDEX id_alone;
                CREATE STATISTICS app.words (dependencies, ndistinct) ON grp, word FROM app.fact;
                COMMENT ON TABLE app.fact IS 'ours'; COMMENT ON COLUMN app.fact.size IS 'pieces'; COMMENT ON COLUMN app.sums.s IS 'all pieces';
                GRANT SELECT (id, size) ON app.fact TO app_reader WITH GRANT OPTION; GRANT SELECT ON app.sums_live TO app_reader; GRANT SELECT ON app.sums TO PUBLIC;
                ALTER TABLE app.fact ENABLE ROW LEVEL SECURITY; ALTER TABLE app.sums ENABLE ROW LEVEL SECURITY; ALTER TABLE app.sums FORCE ROW LEVEL SECURITY;
                CREATE POLICY small ON app.fact AS RESTRICTIVE FOR SELECT TO app_reader USING (size < (SELECT max(f.size) FROM app.fact f));
                CREATE POLICY everybody ON app.fact USING (true) WITH CHECK (grp > 0); COMMENT ON POLICY small ON app.fact IS 'why';
                CREATE POLICY own ON app.sums FOR SELECT TO app_reader USING (grp = 1);
                CREATE PUBLICATION out_some FOR TABLE app.fact (id, size) WHERE (id > 5), app.sums; CREATE PUBLICATION out_all FOR TABLES IN SCHEMA app;
                """);
        String before = engine.text(SETTINGS);
        engine.run(
                "SELECT tally.redefine('app.fact', 'app.item_def2'); SELECT tally.refresh('app.fact'); SELECT tally.refresh('app.fact')");
        assertThat(engine.number("SELECT max(size) FROM app.fact")).isEqualTo(60);
        assertThat(engine.text(SETTINGS).lines())
                .containsExactlyElementsOf(before.lines().toList());
        engine.write("UPDATE app.item SET size = 9 WHERE id < 5", "DELETE FROM app.item WHERE id = 7");
    }

    @Test
    void whatWouldBeLostIsRefusedByName() {
        engine.run("CREATE POLICY words ON app.fact USING (word <> '')");
        assertThat(engine.refused("TL017", "SELECT tally.redefine('app.fact', 'app.narrow')"))
                .contains("policy words of app.fact (column word)");
        engine.run("DROP POLICY words ON app.fact; ALTER TABLE app.fact ADD COLUMN note text");
        assertThat(engine.refused("TL017", "SELECT tally.redefine('app.fact', 'app.item_def2')"))
                .contains("column note of app.fact");
        engine.run("ALTER TABLE app.fact DROP COLUMN note, ADD CONSTRAINT sane CHECK (size >= 0)");
        assertThat(engine.refused("TL017", "SELECT tally.redefine('app.fact', 'app.item_def2')"))
                .contains("constraint sane of app.fact");
        engine.run(
                "ALTER TABLE app.fact DROP CONSTRAINT sane; CREATE RULE quiet AS ON DELETE TO app.sums DO ALSO NOTHING");
        assertThat(engine.refused("TL017", "SELECT tally.redefine('app.fact', 'app.item_def2')"))
                .contains("rule quiet of app.sums");
        engine.run(
                "DROP RULE quiet ON app.sums; SELECT tally.redefine('app.fact', 'app.item_def2'); SELECT tally.refresh('app.fact'); SELECT tally.refresh('app.fact')");
        engine.write("UPDATE app.item SET size = 9 WHERE id < 5");
    }

    @Test
    void namesOfAnyAlphabetAndNamesThatBeginAlikeAreRedefinedSideBySide() {
        String[] names = {
            "orders_by_customer_and_country_and_day_a",
            "orders_by_customer_and_country_and_day_b",
            "öööööööööööööööööööö",
            "日本語日本語日本語日本"
        };
        for (String name : names) {
            engine.run("""
                    SELECT tally.create_projection('app."%1$s"', 'app.item_def', '{id}'); SELECT tally.watch('app."%1$s"', 'app.item', '{id}');
                    SELECT tally.activate('app."%1$s"'); SELECT tally.refresh('app."%1$s"')""".formatted(name));
        }
        for (String name : names) {
            engine.run("SELECT tally.redefine('app.\"%s\"', 'app.item_def2')".formatted(name));
        }
        engine.write("SELECT 1", "UPDATE app.item SET size = 4 WHERE id = 3");
        for (String name : names) {
            assertThat(engine.number("SELECT size FROM app.\"%s\" WHERE id = 3".formatted(name)))
                    .isEqualTo(40);
        }
    }
}
