package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.countersink.db.Database;
import dev.countersink.testing.DistributionPostgres;
import dev.countersink.testing.Sql;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** plpgsql_check, where the server has it, over the engine and over the code that it generates. */
class PlpgsqlCheckTest {
    /** What it finds that is no fault, and why. */
    private static final Map<String, String> HARMLESS = Map.of(
            "OUT variable .* is (maybe unmodified|not single argument)",
                    "RETURN QUERY fills them; a composite is handed through",
            "(schema|relation) \"(pg_temp[^\"]*|tally_indexes|tally_names)\" does not exist",
                    "temporary, made when the function runs",
            "cached plan is not valid plan", "of such a table",
            "record \"n\" is not assigned yet", "read from such a table",
            "never read variable \"n\"", "read from such a table",
            "cannot determinate a result of dynamic SQL", "run_merge: the function's type is known");

    @Test
    void plpgsqlCheckFindsNothing(@TempDir Path dir) throws Exception {
        try (DistributionPostgres server = DistributionPostgres.start(dir)) {
            Database.open(server.settings("postgres")).close();
            check(server);
        }
    }

    private static void check(DistributionPostgres server) throws Exception {
        try (Sql sql = new Sql(server.settings("postgres"))) {
            assumeTrue(
                    sql.number("SELECT count(*) FROM pg_available_extensions WHERE name = 'plpgsql_check'") > 0,
                    "plpgsql_check is not installed");
            sql.run(
                    "SET client_min_messages = error; SELECT results.open_stage(); CREATE SCHEMA checker; CREATE EXTENSION plpgsql_check SCHEMA checker");
            List<String> found = sql.text("""
                    SELECT coalesce(string_agg(concat_ws(' ', p.oid::regprocedure, 'line', c.lineno, c.level, c.message, c.hint), E'\\n') || E'\\n', '') || 'nothing'
                    FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang AND l.lanname = 'plpgsql'
                    LEFT JOIN LATERAL (SELECT t.tgrelid FROM pg_trigger t WHERE t.tgfoid = p.oid LIMIT 1) t ON true
                    CROSS JOIN LATERAL checker.plpgsql_check_function_tb(p.oid, coalesce(t.tgrelid, 0), fatal_errors => false,
                        other_warnings => true, extra_warnings => true, performance_warnings => false, oldtable => CASE WHEN t.tgrelid IS NOT NULL THEN 'old_rows' END,
                        newtable => CASE WHEN t.tgrelid IS NOT NULL THEN 'new_rows' END) c
                    WHERE p.pronamespace IN ('tally'::regnamespace, 'results'::regnamespace, 'control'::regnamespace)
                      AND (p.prorettype <> 'trigger'::regtype OR t.tgrelid IS NOT NULL)""")
                    .lines()
                    .filter(line -> HARMLESS.keySet().stream()
                            .noneMatch(known ->
                                    Pattern.compile(known).matcher(line).find()))
                    .toList();
            assertThat(found).containsExactly("nothing");
        }
    }
}
