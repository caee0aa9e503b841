package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.countersink.db.Database;
import dev.countersink.testing.DistributionPostgres;
import dev.countersink.testing.Sql;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** plpgsql_check, where the server has it, over the engine and over the code that it generates. */
class PlpgsqlCheckTest {
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
                    "SET client_min_messages = error; CREATE SCHEMA checker; CREATE EXTENSION plpgsql_check SCHEMA checker");
            assertThat(sql.text("""
                    SELECT coalesce(string_agg(concat_ws(' ', p.oid::regprocedure, 'line', c.lineno, c.level, c.message, c.hint), E'\\n'), 'nothing')
                    FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang AND l.lanname = 'plpgsql'
                    LEFT JOIN LATERAL (SELECT t.tgrelid FROM pg_trigger t WHERE t.tgfoid = p.oid LIMIT 1) t ON true
                    CROSS JOIN LATERAL checker.plpgsql_check_function_tb(p.oid, coalesce(t.tgrelid, 0), fatal_errors => false,
                        other_warnings => true, extra_warnings => true, performance_warnings => false, oldtable => CASE WHEN t.tgrelid IS NOT NULL THEN 'old_rows' END,
                        newtable => CASE WHEN t.tgrelid IS NOT NULL THEN 'new_rows' END) c
                    WHERE p.pronamespace IN ('tally'::regnamespace, 'results'::regnamespace, 'control'::regnamespace)
                      AND (p.prorettype <> 'trigger'::regtype OR t.tgrelid IS NOT NULL)""")).isEqualTo("nothing");
        }
    }
}
