package dev.countersink.tally;

import static java.util.Map.entry;
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

/** Runs plpgsql_check, if the server has it, over the engine and over the code that it generates. */
class PlpgsqlCheckTest {
    /** Findings that are not faults, each with the reason. */
    private static final Map<String, String> HARMLESS = Map.ofEntries(
            entry(
                    "OUT variable .* is (maybe unmodified|not single argument)",
                    "RETURN QUERY fills them; a composite is handed through"),
            entry(
                    "(schema|relation) \"(pg_temp[^\"]*|tally_[a-z]+)\" does not exist",
                    "temporary, made when the function runs"),
            entry("cached plan is not valid plan", "of such a table"),
            entry("record \"(n|found)\" is not assigned yet", "read from such a table"),
            entry("never read variable \"(n|found)\"", "read from such a table"),
            entry("cannot determinate a result of dynamic SQL", "run_merge: the function's type is known"),
            entry("name of parameter \"limit\" is reserved keyword", "it is quoted; callers may name it"),
            entry("unused parameter \"tally_(gone|come|pin|at)\"", "generated functions of a kind have one signature"),
            entry(
                    "search_way.* control reached end of function without RETURN",
                    "after a LOOP that only RETURN leaves"),
            entry(
                    "target type is different type than source type",
                    "a text becomes json, a number or an oid by its input function, as is meant"));

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
