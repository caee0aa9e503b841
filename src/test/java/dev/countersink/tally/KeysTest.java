package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class KeysTest {
    private final Engine engine = new Engine();

    @AfterEach
    void close() throws Exception {
        engine.close();
    }

    @Test
    void aProjectionThatGroupsByALinkFollowsEveryMove() {
        engine.run("""
                CREATE TABLE app.member (id int PRIMARY KEY, club_id int, age int);
                CREATE VIEW app.club_def AS SELECT club_id, count(*) AS members, sum(age) AS ages FROM app.member GROUP BY club_id;
                SELECT tally.create_projection('app.club', 'app.club_def', '{club_id}');
                SELECT tally.watch('app.club', 'app.member', '{club_id}');
                SELECT tally.activate('app.club');
                """);
        engine.write(
                "INSERT INTO app.member SELECT i, nullif(i % 5, 0), i FROM generate_series(1, 40) i",
                "UPDATE app.member SET club_id = 2 WHERE club_id IS NULL",
                "UPDATE app.member SET club_id = NULL WHERE id < 10",
                "UPDATE app.member SET club_id = club_id + 1",
                "UPDATE app.member SET age = NULL WHERE id = 3",
                "DELETE FROM app.member WHERE club_id = 3");
    }

    @Test
    void compositeKeysOfAnyTypeWithNullsInThem() {
        engine.run("""
                CREATE TABLE app.visit (id uuid PRIMARY KEY, place text COLLATE "C", day date, who varchar(10), size numeric(4, 2));
                CREATE VIEW app.place_def AS SELECT place, day, size, count(*) AS visits, array_agg(who ORDER BY who) AS names FROM app.visit GROUP BY place, day, size;
                SELECT tally.create_projection('app.place', 'app.place_def', '{place,day,size}');
                SELECT tally.watch('app.place', 'app.visit', '{place,day,size}');
                SELECT tally.create_rollup('app.days', 'app.place', '{day,size}', '{"v":"sum(visits)","p":"count(distinct place)"}');
                SELECT tally.activate('app.place');
                CREATE VIEW app.one_def AS SELECT id, place, upper(who) AS who FROM app.visit;
                SELECT tally.create_projection('app.one', 'app.one_def', '{id}');
                SELECT tally.watch('app.one', 'app.visit', '{id}');
                SELECT tally.activate('app.one');
                """);
        engine.write(
                """
                INSERT INTO app.visit SELECT md5(i::text)::uuid, CASE i % 3 WHEN 0 THEN NULL WHEN 1 THEN 'it''s "here"' ELSE '' END,
                    CASE WHEN i % 4 > 0 THEN '2026-01-01'::date + i % 4 END, 'w' || i, CASE WHEN i % 2 = 0 THEN i % 5 / 10.0 END FROM generate_series(1, 50) i""",
                "UPDATE app.visit SET day = NULL WHERE place = ''",
                "UPDATE app.visit SET place = NULL, size = 0.30 WHERE who LIKE 'w1%'",
                "UPDATE app.visit SET id = md5(id::text)::uuid WHERE who < 'w2'",
                "DELETE FROM app.visit WHERE day IS NULL",
                "DELETE FROM app.visit");
    }

    @Test
    void severalRowsAKey() {
        engine.run("""
                CREATE TABLE app.post (id int PRIMARY KEY, tags text[]);
                CREATE VIEW app.tag_def AS SELECT p.id, t.tag, count(*) AS times, min(t.n) AS place FROM app.post p, unnest(p.tags) WITH ORDINALITY t(tag, n) GROUP BY p.id, t.tag;
                SELECT tally.create_projection('app.tag', 'app.tag_def', key => '{id}', identity => '{id,tag}');
                SELECT tally.watch('app.tag', 'app.post', '{id}');
                SELECT tally.create_rollup('app.tags', 'app.tag', '{tag}', '{"posts":"count(*)","times":"sum(times)"}');
                SELECT tally.activate('app.tag');
                """);
        engine.write(
                "INSERT INTO app.post VALUES (1, '{a,b,b}'), (2, '{b,NULL,c}'), (3, NULL), (4, '{}')",
                "UPDATE app.post SET tags = '{b,a,d}' WHERE id = 1",
                "UPDATE app.post SET tags = tags || '{z,NULL}'",
                "UPDATE app.post SET id = 10 - id",
                "DELETE FROM app.post WHERE id = 8");
    }

    @Test
    void aKeyWithTwoRowsOfOneIdentityIsSetAsideAndNoRollupAddsThemUp() {
        engine.run("""
                CREATE TABLE app.grp (id int PRIMARY KEY, name text);
                CREATE TABLE app.post (id int PRIMARY KEY, grp_id int REFERENCES app.grp);
                CREATE TABLE app.label (n int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, post_id int, tag text, size int);
                CREATE VIEW app.tag_def AS SELECT p.id, l.tag, l.size, g.name FROM app.post p JOIN app.grp g ON g.id = p.grp_id JOIN app.label l ON l.post_id = p.id;
                SELECT tally.create_projection('app.tag', 'app.tag_def', key => '{id}', identity => '{id,tag}');
                SELECT tally.watch('app.tag', 'app.post', '{id}');
                SELECT tally.watch('app.tag', 'app.label', '{post_id}');
                SELECT tally.watch('app.tag', 'app.grp', '{id}', 'SELECT p.id FROM app.post p JOIN changed c ON p.grp_id = c.id');
                SELECT tally.create_rollup('app.tags', 'app.tag', '{tag}', '{"n":"count(*)","size":"sum(size)","names":"count(distinct name)"}');
                INSERT INTO app.grp VALUES (1, 'one');
                INSERT INTO app.post SELECT i, 1 FROM generate_series(1, 40) i;
                INSERT INTO app.label (post_id, tag, size) SELECT i, t, i FROM generate_series(1, 40) i, (VALUES ('a'), ('b'), (NULL)) v(t);
                -- before the first fill
                INSERT INTO app.label (post_id, tag, size) VALUES (40, 'b', 40);
                SELECT tally.activate('app.tag');
                """);
        merge(7);
        setAside("[40]");
        engine.run(
                "INSERT INTO app.label (post_id, tag, size) VALUES (1, 'a', 1), (2, 'a', 9), (3, NULL, 3), (4, 'new', 4), (4, 'new', 4)");
        merge(50_000);
        setAside("[1], [2], [3], [4], [40]");
        assertThat(engine.text("SELECT error_sqlstate || ' ' || error FROM tally.status WHERE name = 'app.tag'"))
                .isEqualTo("TL019 key [40]: app.tag_def returns more than one row for the same (id, tag).");
        // a wide change, then a sweep through the stored keys; the other keys in their ranges go on
        engine.run("UPDATE app.grp SET name = 'uno'");
        merge(5);
        setAside("[1], [2], [3], [4], [40]");
        assertThat(engine.number("SELECT count(*) FROM app.tag WHERE name = 'uno'"))
                .isEqualTo(3 * 35);
        engine.run("SELECT tally.rebuild('app.tag')");
        merge(5);
        setAside("[1], [2], [3], [4], [40]");
        engine.write("DELETE FROM app.label WHERE n > 120");
        assertThat(engine.number("SELECT count(*) FROM tally.quarantine")).isZero();
    }

    private void merge(int keys) {
        while (engine.text("SELECT more FROM tally.merge('app.tag', %d)".formatted(keys))
                .equals("t")) {}
    }

    /** Asserts that these keys are quarantined, all others are exact, and rollups equal the sum of the stored rows. */
    private void setAside(String keys) {
        assertThat(
                        engine.text(
                                "SELECT string_agg(key::text, ', ' ORDER BY key) FROM tally.quarantine WHERE sqlstate = 'TL019'"))
                .isEqualTo(keys);
        assertThat(engine.number("""
                SELECT count(*) FROM (
                    (SELECT tag, count(*), sum(size), count(DISTINCT name) FROM app.tag GROUP BY tag EXCEPT ALL SELECT tag, n, size, names FROM app.tags)
                    UNION ALL (SELECT tag, n, size, names FROM app.tags EXCEPT ALL SELECT tag, count(*), sum(size), count(DISTINCT name) FROM app.tag GROUP BY tag)) d""")).isZero();
        assertThat(engine.number("""
                SELECT count(*) FROM tally.verify('app.tag') WHERE jsonb_build_array(data -> 'id') NOT IN (SELECT key FROM tally.quarantine)""")).isZero();
    }

    @Test
    void namesThatNeedQuotingAndTheSameNameInTwoSchemas() {
        engine.run("""
                CREATE SCHEMA "My ""App"" 1";
                CREATE TABLE "My ""App"" 1"."Order" ("Id" int PRIMARY KEY, "group" text, "select" int);
                CREATE VIEW "My ""App"" 1"."Fact_def" AS SELECT * FROM "My ""App"" 1"."Order";
                SELECT tally.create_projection('"My ""App"" 1"."Fact"', '"My ""App"" 1"."Fact_def"', '{Id}');
                SELECT tally.watch('"My ""App"" 1"."Fact"', '"My ""App"" 1"."Order"', '{Id}', 'SELECT c."Id" FROM changed c');
                SELECT tally.create_rollup('"My ""App"" 1"."By Group"', '"My ""App"" 1"."Fact"', '{group}', '{"Sum Of":"sum(\\"select\\")","max":"max(select)","order":"count(distinct select)"}', '"select" > 1');
                SELECT tally.activate('"My ""App"" 1"."Fact"');
                CREATE TABLE app."Order" ("Id" int PRIMARY KEY, "group" text, "select" int);
                CREATE VIEW app."Fact_def" AS SELECT * FROM app."Order";
                SELECT tally.create_projection('app."Fact"', 'app."Fact_def"', '{Id}');
                SELECT tally.watch('app."Fact"', 'app."Order"', '{Id}');
                SELECT tally.activate('app."Fact"');
                """);
        engine.write(
                "INSERT INTO \"My \"\"App\"\" 1\".\"Order\" VALUES (1, 'a', 2), (2, 'a', 5), (3, NULL, 7)",
                "INSERT INTO app.\"Order\" VALUES (1, 'a', 2)",
                "UPDATE \"My \"\"App\"\" 1\".\"Order\" SET \"group\" = 'b' WHERE \"select\" > 2",
                "DELETE FROM \"My \"\"App\"\" 1\".\"Order\" WHERE \"Id\" = 3");
        assertThat(engine.text("SELECT string_agg(name, ' ' ORDER BY name) FROM tally.status WHERE name LIKE '%Fact%'"))
                .isEqualTo("\"My \"\"App\"\" 1\".\"Fact\" app.\"Fact\"");
    }

    @Test
    void anExpandReachesOldLinksThroughTheStoredProjection() {
        engine.run("""
                CREATE TABLE app.shelf (id int PRIMARY KEY, room_id int);
                CREATE TABLE app.room (id int PRIMARY KEY, floor int);
                CREATE TABLE app.book (id int PRIMARY KEY, shelf_id int);
                CREATE VIEW app.book_def AS SELECT b.id, b.shelf_id, s.room_id, r.floor
                    FROM app.book b LEFT JOIN app.shelf s ON s.id = b.shelf_id LEFT JOIN app.room r ON r.id = s.room_id;
                SELECT tally.create_projection('app.place', 'app.book_def', '{id}');
                SELECT tally.watch('app.place', 'app.book', '{id}');
                SELECT tally.watch('app.place', 'app.shelf', '{id}', 'SELECT b.id FROM app.book b JOIN changed c ON b.shelf_id = c.id UNION SELECT p.id FROM app.place p JOIN changed c ON p.shelf_id = c.id');
                SELECT tally.watch('app.place', 'app.room', '{id}', 'SELECT b.id FROM app.book b JOIN app.shelf s ON s.id = b.shelf_id JOIN changed c ON s.room_id = c.id UNION SELECT p.id FROM app.place p JOIN changed c ON p.room_id = c.id;');
                SELECT tally.create_rollup('app.floors', 'app.place', '{floor}', '{"books":"count(*)","rooms":"count(distinct room_id)"}');
                SELECT tally.activate('app.place');
                """);
        engine.write(
                "INSERT INTO app.room SELECT i, i % 3 FROM generate_series(1, 6) i; INSERT INTO app.shelf SELECT i, i % 7 FROM generate_series(1, 12) i; INSERT INTO app.book SELECT i, i % 14 FROM generate_series(1, 50) i",
                "UPDATE app.room SET floor = 9 WHERE id = 2",
                "UPDATE app.shelf SET room_id = 2 WHERE id < 5; UPDATE app.room SET id = 70 WHERE id = 3",
                "DELETE FROM app.shelf WHERE id = 4; DELETE FROM app.room WHERE id = 2; UPDATE app.book SET shelf_id = 5 WHERE shelf_id = 4",
                "BEGIN; UPDATE app.shelf SET id = id + 100; UPDATE app.book SET shelf_id = shelf_id + 100; DELETE FROM app.room WHERE floor = 1; COMMIT");
    }

    @Test
    void aDerivedTableCanBeWatchedInItsTurn() {
        engine.run("""
                CREATE TABLE app.item (id int PRIMARY KEY, grp int);
                CREATE VIEW app.lower_def AS SELECT grp, count(*) AS n FROM app.item GROUP BY grp;
                SELECT tally.create_projection('app.lower', 'app.lower_def', '{grp}');
                SELECT tally.watch('app.lower', 'app.item', '{grp}');
                SELECT tally.activate('app.lower');
                CREATE VIEW app.upper_def AS SELECT n, count(*) AS groups FROM app.lower GROUP BY n;
                SELECT tally.create_projection('app.upper', 'app.upper_def', '{n}');
                SELECT tally.watch('app.upper', 'app.lower', '{n}');
                SELECT tally.activate('app.upper');
                """);
        for (String write : List.of(
                "INSERT INTO app.item SELECT i, i % 7 FROM generate_series(1, 30) i",
                "UPDATE app.item SET grp = 1 WHERE grp = 2", "DELETE FROM app.item WHERE grp = 1")) {
            engine.write(write + "; SELECT tally.refresh('app.lower')");
        }
        assertThat(engine.text("SELECT obj_description('app.upper_live'::regclass)"))
                .contains("app.lower");
    }

    @Test
    void columnsMayBeNamedLikeWhatTheEngineUsesInside() {
        engine.run("""
                CREATE TABLE app.item (n int, result int, d int, s int, f int, k int, c int, t int, p int, e int, g int, u int, w int, x int, b int, r int,
                    oldest int, through int, everything int, changed int, quarantined int, keys_1 int, max_keys int, half int, low int, touched int, tids int,
                    cells int, pending int, stored int, fresh int, difference int, gone int, written int, signed int, taken int, backlog int, view int,
                    side int, data int, "user" int, again int, change int, PRIMARY KEY (n, result));
                CREATE VIEW app.item_def AS SELECT * FROM app.item;
                SELECT tally.create_projection('app.fact', 'app.item_def', '{n,result}');
                SELECT tally.watch('app.fact', 'app.item', '{n,result}', 'SELECT n, result FROM changed');
                SELECT tally.create_rollup('app.r1', 'app.fact', '{d,s}', '{"t":"sum(f)","c":"max(k)","dd":"count(distinct x)","touched":"min(cells)"}', 'f > 0');
                SELECT tally.create_rollup('app.r2', 'app.r1', '{t}', '{"s":"sum(t)","n":"count(*)","f":"max(c)"}');
                SELECT tally.activate('app.fact');
                SELECT tally.create_rollup('app.r3', 'app.fact', '{keys_1,f}', '{"t":"sum(tids)","d":"count(distinct oldest)"}');
                """);
        engine.write(
                "INSERT INTO app.item (n, result, d, s, f, k, x, cells, oldest, tids) SELECT i, i, i % 3, i % 2, i, i, i, i, i, i FROM generate_series(1, 20) i",
                "UPDATE app.item SET d = 1, k = 5, x = 7, cells = 3 WHERE n < 5", "DELETE FROM app.item WHERE n = 20");
    }

    @Test
    void declarationsUnderASearchPathWorkUnderAnyOther() {
        engine.run("""
                SET search_path = app, tally;
                CREATE TYPE kind AS ENUM ('a', 'b');
                CREATE TABLE item (id int PRIMARY KEY, kind kind);
                CREATE TABLE "select" (id int PRIMARY KEY, kind kind, v int);
                CREATE VIEW item_def AS SELECT i.*, s.v FROM item i LEFT JOIN "select" s ON s.kind = i.kind;
                SELECT create_projection('fact', 'item_def', '{id}');
                SELECT watch('fact', 'item', '{id}');
                SELECT watch('fact', '"select"', '{kind}', 'SELECT i.id FROM item i JOIN changed c ON c.kind = i.kind');
                SELECT create_rollup('r', 'fact', '{kind}', '{"n":"count(*)","m":"max(v)"}', 'kind = ''a'' OR v > 0');
                SELECT activate('fact');
                SELECT create_rollup('later', 'fact', '{v}', '{"n":"count(*)"}');
                RESET search_path;
                """);
        engine.write(
                "INSERT INTO app.item VALUES (1, 'a'), (2, 'b'), (3, NULL)",
                "SET search_path = app; INSERT INTO \"select\" VALUES (1, 'a', 5); RESET search_path",
                "UPDATE app.\"select\" SET v = 6");
        assertThat(engine.text("SELECT concat_ws(' ', grp, n, m) FROM (SELECT kind::text AS grp, n, m FROM app.r) x"))
                .isEqualTo("a 1 6");
    }

    @Test
    void aBareNameIsWhatTheSearchPathFindsFirst() {
        engine.run("""
                CREATE SCHEMA other; CREATE TABLE app.t (id int PRIMARY KEY, v int); CREATE TABLE other.t (id int PRIMARY KEY, v int);
                CREATE VIEW app.twin_def AS SELECT * FROM app.t; CREATE VIEW other.twin_def AS SELECT * FROM other.t;
                CREATE VIEW app.twin_def2 AS SELECT id, v + 1 AS v FROM app.t; CREATE TABLE app.target (id int PRIMARY KEY, v int)""");
        for (String schema : new String[] {"other", "app"}) {
            engine.run("SET search_path = " + schema + """
                    , tally; SELECT create_projection('twin', 'twin_def', '{id}'); SELECT watch('twin', 't', '{id}');
                    SELECT create_rollup('per_v', 'twin', '{v}', '{"n":"count(*)"}'); SELECT activate('twin')""");
        }
        engine.run(
                "SET search_path = tally, nowhere, app, other; INSERT INTO app.t VALUES (1, 1); INSERT INTO app.target VALUES (1, 0)");
        assertThat(engine.text("SELECT outcome || changed FROM merge('twin')")).isEqualTo("merged1");
        engine.run("""
                UPDATE app.t SET v = 2; SELECT refresh('per_v'); SELECT * FROM verify('twin'); SELECT rebuild('twin'); SELECT repair('twin'); SELECT pause('per_v'); SELECT resume('twin');
                SELECT schedule('twin', '{"priority":7}'); SELECT allow_function('twin', 'pg_catalog.now()'); SELECT write_back('twin', 'target', '{"v":"v"}'); SELECT heal('twin');
                SELECT * FROM explain('twin'); SELECT * FROM rehearse('twin', 1); SELECT * FROM rehearse('twin', 'DELETE FROM t'); SELECT redefine('twin', 'app.twin_def2');
                SELECT refresh('twin'); SELECT refresh('twin')""");
        assertThat(
                        engine.text(
                                "SELECT string_agg(concat_ws(' ', name, priority, pending), ', ' ORDER BY name) FROM status WHERE name LIKE '%twin'"))
                .as("nothing was done to the other one")
                .isEqualTo("app.twin 7 0, other.twin 0 1");
        assertThat(
                        engine.text(
                                "SELECT (SELECT v FROM app.twin) || ' ' || (SELECT v FROM target) || ' ' || (SELECT name FROM views('twin')) || ' ' || tally.exists('twin')"))
                .isEqualTo("3 3 app.twin true");
        engine.run("SELECT drop('twin')");
        assertThat(engine.text("SELECT (SELECT name FROM views('twin'))")).isEqualTo("other.twin");
        engine.run("SET search_path = public");
        assertThat(engine.text("SELECT outcome FROM tally.merge('twin')"))
                .as("nothing on the path has that name, and one view: this is its first fill")
                .isEqualTo("merged");
        engine.run("CREATE TEMP TABLE twin ()");
        engine.refused("TL001", "SELECT tally.drop('twin')");
        assertThat(engine.text("SELECT tally.exists('twin')::text")).isEqualTo("false");
        engine.run("RESET search_path; SELECT tally.drop('other.twin'); DROP SCHEMA other CASCADE");
    }
}
