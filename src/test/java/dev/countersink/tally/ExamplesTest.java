package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.countersink.testing.Session;
import dev.countersink.testing.TestPostgres;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** {@code -Dcountersink.seed=N} repeats the random writes. */
class ExamplesTest {
    private static final Path EXAMPLES = Path.of("sql", "examples");
    private static final int STEPS = 60;
    private static final String REVENUE_DIFFERS = """
            WITH o AS (SELECT coalesce(c.region, 'unknown'), date_trunc('month', i.issued_on::timestamp)::date, sum(i.amount), count(*)
                       FROM report.invoice i JOIN report.customer c ON c.id = i.customer_id GROUP BY 1, 2)
            SELECT count(*) FROM ((TABLE report.revenue EXCEPT ALL TABLE o) UNION ALL (TABLE o EXCEPT ALL TABLE report.revenue)) d""";

    private final long seed = Long.getLong("countersink.seed", System.nanoTime() & 0xffffff);
    private final Random random = new Random(seed);
    private final Engine engine = new Engine();

    ExamplesTest() {
        System.out.printf("countersink.seed=%d%n", seed);
    }

    @AfterEach
    void close() throws Exception {
        engine.close();
    }

    static Stream<Path> examples() throws Exception {
        try (Stream<Path> files = Files.list(EXAMPLES)) {
            return files.filter(file -> file.toString().endsWith(".sql")).sorted().toList().stream();
        }
    }

    @ParameterizedTest
    @MethodSource("examples")
    void anExamplePrintsInPsqlWhatItsCommentsSay(Path example) throws Exception {
        assumeTrue(Session.hasPsql(), "psql is not installed");
        var db = TestPostgres.empty();
        Session.psql(db, Path.of("sql", "tally", "install.sql"));
        List<String> shown = Session.shown(Files.readString(example));
        assertThat(shown).isNotEmpty();
        assertThat(Session.psql(db, example)).containsExactlyElementsOf(shown);
    }

    @ParameterizedTest
    @MethodSource("examples")
    void anExampleNeedsNoPsql(Path example) throws Exception {
        run(example.getFileName().toString());
    }

    @Test
    void clubDocumentsFollowEveryWrite() throws Exception {
        run("club_document.sql");
        engine.write(
                "INSERT INTO clubs.club VALUES (4, 'Sailing', 'Thun')",
                "UPDATE clubs.club SET name = 'Chess and Go', city = 'Biel' WHERE id = 1",
                "UPDATE clubs.tag SET name = 'indoors' WHERE id = 1",
                "UPDATE clubs.club_tag SET club_id = 4 WHERE tag_id = 3",
                "UPDATE clubs.person SET name = 'Cleo B.', email = 'c@example.org' WHERE id = 3",
                "INSERT INTO clubs.member SELECT 4, id, '2026-05-01' FROM clubs.person",
                "INSERT INTO clubs.officer VALUES (4, 3, 'skipper'), (4, 4, 'cook')",
                "UPDATE clubs.officer SET person_id = CASE person_id WHEN 3 THEN 4 ELSE 3 END WHERE club_id = 4",
                "UPDATE clubs.person SET name = name || '!'",
                "UPDATE clubs.member SET joined_on = joined_on + 1 WHERE person_id = 3",
                "UPDATE clubs.event SET club_id = 4, held_on = '2026-07-01' WHERE id = 3",
                """
                MERGE INTO clubs.event e USING (VALUES (1, 4, 'Open day'), (9, 2, 'Ladder')) v(id, club_id, title) ON e.id = v.id
                WHEN MATCHED THEN UPDATE SET title = v.title, club_id = v.club_id
                WHEN NOT MATCHED THEN INSERT VALUES (v.id, v.club_id, v.title, '2026-08-01')""",
                "INSERT INTO clubs.tag VALUES (1, 'under a roof') ON CONFLICT (id) DO UPDATE SET name = excluded.name",
                "DELETE FROM clubs.tag WHERE id = 2",
                "DELETE FROM clubs.person WHERE id = 4",
                "DELETE FROM clubs.club WHERE id = 4",
                "TRUNCATE clubs.event",
                "TRUNCATE clubs.person CASCADE");
    }

    @Test
    void clubDocumentsFollowRandomWrites() throws Exception {
        run("club_document.sql");
        randomly("clubs.document", this::clubWrite);
    }

    @Test
    void dependentsFollowEveryWrite() throws Exception {
        run("incident_dependents.sql");
        engine.write(
                "INSERT INTO ops.service SELECT n, 'service ' || n, 'team ' || n % 3 FROM generate_series(10, 20) n",
                // a chain longer than 6 hops, then a cycle that includes it
                "INSERT INTO ops.dependency SELECT n + 1, n FROM generate_series(10, 19) n",
                "INSERT INTO ops.dependency VALUES (10, 20), (10, 1)",
                "UPDATE ops.service SET team = 'other' WHERE id = 15",
                "UPDATE ops.dependency SET service_id = 2 WHERE service_id = 15",
                "UPDATE ops.dependency SET needs_id = 3 WHERE needs_id = 17",
                // both ends of paths at once
                "DELETE FROM ops.dependency WHERE needs_id IN (1, 10, 12)",
                "INSERT INTO ops.dependency VALUES (13, 12), (12, 10), (11, 1) ON CONFLICT DO NOTHING",
                "INSERT INTO ops.dependency VALUES (12, 12)",
                "DELETE FROM ops.service WHERE id = 13",
                "TRUNCATE ops.dependency",
                "INSERT INTO ops.dependency VALUES (2, 1), (1, 2)",
                "TRUNCATE ops.service CASCADE");
    }

    @Test
    void dependentsFollowRandomWrites() throws Exception {
        run("incident_dependents.sql");
        engine.run("INSERT INTO ops.service SELECT n, 'service ' || n, 'team ' || n % 3 FROM generate_series(7, 14) n");
        randomly("ops.dependents", this::graphWrite);
    }

    @Test
    void amongTwentyThousandServicesAMergeReadsOnlyWhatTheChangedRootsReach() throws Exception {
        run("incident_dependents.sql");
        engine.run("""
                SET statement_timeout = '200s';
                -- neighbourhoods of 10 services with cycles inside, some of them joined
                INSERT INTO ops.service SELECT 1000 + n, 'service ' || n, 'team ' || n % 50 FROM generate_series(0, 19999) n;
                INSERT INTO ops.dependency SELECT 1000 + n, 1000 + n / 10 * 10 + (n % 10 * k + 3) % 10
                FROM generate_series(0, 19999) n, (VALUES (2), (7)) m(k) ON CONFLICT DO NOTHING;
                INSERT INTO ops.dependency SELECT 1000 + n * 400, 1000 + (n + 1) % 50 * 400 + 7 FROM generate_series(0, 49) n;
                SELECT tally.refresh('ops.dependents');
                ANALYZE ops.service, ops.dependency, ops.dependents;
                -- an index-only scan would not be counted
                SET enable_indexonlyscan = off""");
        assertThat(engine.number("SELECT count(DISTINCT root_id) FROM ops.dependents"))
                .isGreaterThan(10_000);

        for (String write : new String[] {
            "UPDATE ops.dependency SET needs_id = 1400 WHERE (service_id, needs_id) IN (SELECT 1007, min(needs_id) FROM ops.dependency WHERE service_id = 1007)",
            "DELETE FROM ops.dependency WHERE service_id = 1800",
            "UPDATE ops.service SET team = 'another' WHERE id = 2203",
        }) {
            engine.run("BEGIN; " + write);
            long before = rowsRead();
            assertThat(engine.number("SELECT keys FROM tally.merge('ops.dependents')"))
                    .as("roots evaluated after %s", write)
                    .isBetween(2L, 60L);
            assertThat(rowsRead() - before).as("rows read after %s", write).isLessThan(10_000);
            engine.run("COMMIT");
        }
        // the cost of the view that starts at every root, to show that the test above can fail
        engine.run("BEGIN");
        long before = rowsRead();
        engine.number("""
                WITH RECURSIVE reached(root_id, id, distance) AS (
                    SELECT id, id, 0 FROM ops.service
                    UNION
                    SELECT reached.root_id, e.service_id, reached.distance + 1
                    FROM reached JOIN ops.dependency e ON e.needs_id = reached.id WHERE reached.distance < 6)
                SELECT count(*) FROM reached WHERE root_id = ANY ('{1400}')""");
        assertThat(rowsRead() - before).isGreaterThan(40_000);
        engine.run("COMMIT");
        assertThat(engine.number("SELECT count(*) FROM tally.verify('ops.dependents')"))
                .isZero();
    }

    @Test
    void aSnapshotIsRefreshedOnlyWhenASourceHasChanged() throws Exception {
        run("materialized_view.sql");
        for (int step = 0; step < STEPS; step++) {
            boolean changed = random.nextBoolean();
            if (changed) {
                engine.run(invoiceWrite());
            }
            // while it is due, verify does not count that as wrong
            assertThat(engine.number("SELECT count(*) FROM tally.verify('report.revenue')"))
                    .isZero();
            assertThat(engine.text("SELECT outcome FROM tally.merge('report.revenue')"))
                    .isEqualTo(changed ? "merged" : "nothing");
            assertThat(engine.number("SELECT count(*) FROM tally.verify('report.revenue')"))
                    .isZero();
            assertThat(engine.number(REVENUE_DIFFERS)).as("step %d", step).isZero();
        }
        engine.run(
                "ALTER TABLE report.invoice DISABLE TRIGGER USER; INSERT INTO report.invoice SELECT coalesce(max(id), 0) + 1, 1, '2026-01-01', 5 FROM report.invoice");
        assertThat(engine.number(REVENUE_DIFFERS)).as("a difference is seen").isPositive();
        assertThat(engine.number("SELECT count(*) FROM tally.verify('report.revenue')"))
                .isPositive();
    }

    private void run(String example) throws Exception {
        String script = Files.readString(EXAMPLES.resolve(example));
        assertThat(Session.jdbc(engine.db(), script)).containsExactlyElementsOf(Session.shown(script));
    }

    /** Transactions of a few writes; live is compared before a merge, stored after it. */
    private void randomly(String view, Supplier<String> write) {
        for (int step = 0; step < STEPS; step++) {
            List<String> writes = new ArrayList<>(List.of("BEGIN"));
            for (int n = 1 + random.nextInt(5); n > 0; n--) {
                writes.add(write.get());
            }
            writes.add(random.nextInt(10) == 0 ? "ROLLBACK" : "COMMIT");
            if (random.nextBoolean()) { // a step of a merge: the rest stays pending
                writes.add("SELECT tally.merge('%s', %d)".formatted(view, 1 + random.nextInt(3)));
            }
            engine.write(String.join(";\n", writes));
        }
    }

    private String clubWrite() {
        return switch (random.nextInt(16)) {
            case 0 -> "INSERT INTO clubs.club VALUES (%d, 'club', 'Bern') ON CONFLICT DO NOTHING".formatted(id());
            case 1 ->
                "UPDATE clubs.club SET name = 'name %d', city = (ARRAY['Bern', 'Thun', 'Biel'])[%d] WHERE id = %d"
                        .formatted(id(), 1 + random.nextInt(3), id());
            case 2 -> "DELETE FROM clubs.club WHERE id = %d".formatted(id());
            case 3 ->
                "INSERT INTO clubs.tag VALUES (%d, 'tag') ON CONFLICT (id) DO UPDATE SET name = tag.name || '+'"
                        .formatted(id());
            case 4 -> "DELETE FROM clubs.tag WHERE id = %d".formatted(id());
            case 5 ->
                "INSERT INTO clubs.club_tag SELECT c.id, t.id FROM clubs.club c, clubs.tag t WHERE c.id = %d ON CONFLICT DO NOTHING"
                        .formatted(id());
            case 6 -> "DELETE FROM clubs.club_tag WHERE tag_id = %d".formatted(id());
            case 7 -> "INSERT INTO clubs.person VALUES (%d, 'someone') ON CONFLICT DO NOTHING".formatted(id());
            case 8 ->
                "UPDATE clubs.person SET name = 'person %d', email = 'x' WHERE id >= %d"
                        .formatted(random.nextInt(100), id());
            case 9 -> "DELETE FROM clubs.person WHERE id = %d".formatted(id());
            case 10 ->
                "INSERT INTO clubs.member SELECT c.id, p.id, date '2026-01-01' + %d FROM clubs.club c, clubs.person p WHERE p.id = %d ON CONFLICT DO NOTHING"
                        .formatted(random.nextInt(300), id());
            case 11 -> "DELETE FROM clubs.member WHERE person_id = %d AND club_id > %d".formatted(id(), id());
            case 12 ->
                "INSERT INTO clubs.officer SELECT club_id, person_id, 'office %d' FROM clubs.member WHERE person_id = %d ON CONFLICT DO NOTHING"
                        .formatted(random.nextInt(3), id());
            case 13 -> "DELETE FROM clubs.officer WHERE person_id = %d".formatted(id());
            case 14 ->
                "INSERT INTO clubs.event SELECT %d, id, 'event', date '2026-01-01' + %d FROM clubs.club WHERE id = %d ON CONFLICT (id) DO UPDATE SET club_id = excluded.club_id, held_on = excluded.held_on"
                        .formatted(random.nextInt(30), random.nextInt(300), id());
            default ->
                random.nextInt(6) == 0
                        ? "TRUNCATE clubs.event"
                        : "DELETE FROM clubs.event WHERE id %% 7 = %d".formatted(random.nextInt(7));
        };
    }

    private String graphWrite() {
        int one = 1 + random.nextInt(14);
        int other = 1 + random.nextInt(14);
        return switch (random.nextInt(8)) {
            case 0, 1, 2 ->
                "INSERT INTO ops.dependency SELECT s.id, n.id FROM ops.service s, ops.service n WHERE s.id = %d AND n.id = %d ON CONFLICT DO NOTHING"
                        .formatted(one, other);
            case 3 -> "DELETE FROM ops.dependency WHERE service_id = %d".formatted(one);
            case 4 -> "DELETE FROM ops.dependency WHERE needs_id = %d AND service_id > %d".formatted(one, other);
            case 5 ->
                "UPDATE ops.dependency d SET needs_id = n.id FROM ops.service n WHERE n.id = %d AND d.service_id = %d AND d.needs_id = (SELECT min(x.needs_id) FROM ops.dependency x WHERE x.service_id = d.service_id HAVING count(*) FILTER (WHERE x.needs_id = n.id) = 0)"
                        .formatted(one, other);
            case 6 ->
                "INSERT INTO ops.service VALUES (%d, 'new', 'team') ON CONFLICT (id) DO UPDATE SET team = service.team || '+'"
                        .formatted(one);
            default ->
                random.nextInt(8) == 0
                        ? "TRUNCATE ops.dependency"
                        : "DELETE FROM ops.service WHERE id = %d AND id > 1".formatted(one);
        };
    }

    private String invoiceWrite() {
        return switch (random.nextInt(6)) {
            case 0 ->
                "INSERT INTO report.customer SELECT max(id) + 1, (ARRAY['north', 'south', NULL])[%d] FROM report.customer"
                        .formatted(1 + random.nextInt(3));
            case 1 ->
                "UPDATE report.customer SET region = (ARRAY['north', 'south', NULL])[%d] WHERE id = %d"
                        .formatted(1 + random.nextInt(3), id());
            case 2 ->
                "INSERT INTO report.invoice SELECT coalesce(max(id), 0) + 1, 1, date '2026-01-01' + %d, %d FROM report.invoice"
                        .formatted(random.nextInt(300), random.nextInt(90));
            case 3 ->
                "UPDATE report.invoice SET amount = amount + 1, customer_id = 2 WHERE id %% 3 = %d"
                        .formatted(random.nextInt(3));
            case 4 -> "DELETE FROM report.invoice WHERE id = %d".formatted(id());
            default ->
                random.nextInt(4) == 0
                        ? "TRUNCATE report.invoice"
                        : "DELETE FROM report.invoice WHERE issued_on > '2026-06-01'";
        };
    }

    private int id() {
        return 1 + random.nextInt(6);
    }

    private long rowsRead() {
        return engine.number("""
                SELECT sum(seq_tup_read + idx_tup_fetch) FROM pg_stat_xact_user_tables WHERE relid IN ('ops.service'::regclass, 'ops.dependency'::regclass)""");
    }
}
