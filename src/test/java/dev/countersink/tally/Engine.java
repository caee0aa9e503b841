package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import dev.countersink.config.DbSettings;
import dev.countersink.config.StartupException;
import dev.countersink.testing.Differences;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestPostgres;
import java.sql.SQLException;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;
import org.springframework.dao.DataAccessException;

/** A database for one test, with the engine in it, and the comparisons that every test makes. */
final class Engine implements AutoCloseable {
    private static final String VIEWS = """
            SELECT string_agg(concat_ws(';', v.kind, format('%I.%I', v.schema_name, v.relation_name),
                       format('%I.%I', v.schema_name, v.relation_name || '_live'),
                       coalesce(v.definition::text, format('%I.%I', v.schema_name, v.relation_name || '_def'))), E'\\n' ORDER BY v.id)
            FROM tally.derived_view v WHERE v.serves_id IS NULL AND v.kind <> 'snapshot' AND v.schema_name <> 'results' AND v.state <> 'defined'""";

    /** Makes a query for the keys for which a view's _live_at and its oracle differ. */
    private static final String LIVE_AT = """
            SELECT format($q$
                SELECT coalesce(string_agg(DISTINCT k::text, ' '), '') FROM (
                    SELECT * FROM (SELECT %1$s FROM ORACLE ORDER BY random() LIMIT 3) o UNION SELECT * FROM (SELECT %1$s FROM VIEW ORDER BY random() LIMIT 3) s
                    UNION SELECT %2$s) k
                CROSS JOIN LATERAL (SELECT coalesce(jsonb_agg(to_jsonb(x) ORDER BY to_jsonb(x)), '[]') AS seen FROM %3$s(%4$s) x) l
                CROSS JOIN LATERAL (SELECT coalesce(jsonb_agg(to_jsonb(x) ORDER BY to_jsonb(x)), '[]') AS true FROM ORACLE x WHERE %5$s) o
                WHERE l.seen <> o.true$q$,
                (SELECT string_agg(quote_ident(c), ', ') FROM unnest(key) c), (SELECT string_agg('NULL', ', ') FROM unnest(key) c),
                format('%I.%I', schema_name, relation_name || '_live_at'), (SELECT string_agg('k.' || quote_ident(c), ', ') FROM unnest(key) c),
                (SELECT string_agg(format('k.%1$I IS NOT DISTINCT FROM x.%1$I', c), ' AND ') FROM unnest(key) c))
            FROM (SELECT schema_name, relation_name, coalesce(key, group_by) AS key FROM tally.derived_view
                  WHERE format('%I.%I', schema_name, relation_name) = 'VIEW') v""";

    private static final String CHECKPOINTER =
            "SELECT coalesce(min(backend_start)::text, '') FROM pg_stat_activity WHERE backend_type = 'checkpointer'";

    private final DbSettings db;
    private Sql sql;

    Engine() {
        this(TestPostgres.migrated());
    }

    Engine(DbSettings db) {
        this.db = db;
        this.sql = new Sql(db);
        sql.run("SET statement_timeout = '30s'; CREATE SCHEMA app");
    }

    DbSettings db() {
        return db;
    }

    void run(String script) {
        sql.run(script);
    }

    long number(String query) {
        return sql.number(query);
    }

    String text(String query) {
        return sql.text(query);
    }

    /** Runs each statement in turn. After each, live views are compared before a merge, and stored tables after it. */
    void write(String... statements) {
        for (String statement : statements) {
            sql.run(statement);
            liveAgrees(statement);
            sql.run("SELECT tally.refresh(name) FROM tally.due() WHERE action = 'merge' AND name NOT LIKE 'results.%'");
            storedAgrees(statement);
        }
    }

    void liveAgrees(String after) {
        views().forEach(view -> {
            agrees(view[0], view[2], view[3], after);
            liveAtAgrees(view[1], view[3], after);
        });
    }

    /** Reads a few keys or groups one by one: stored ones, those in the oracle, and one that does not exist. */
    private void liveAtAgrees(String view, String oracle, String after) {
        String query =
                sql.text("SELECT coalesce((" + LIVE_AT.replace("VIEW", view).replace("ORACLE", oracle)
                        + " WHERE v.key <> '{}'), 'SELECT ''''')"); // a rollup of everything has no key
        assertThat(sql.text(query))
                .as("keys of %s_live_at that differ from the oracle after %s", view, after)
                .isEmpty();
    }

    void storedAgrees(String after) {
        views().forEach(view -> {
            agrees(view[0], view[1], view[3], after);
            assertThat(sql.number("SELECT count(*) FROM tally.verify('%s')".formatted(view[1])))
                    .as("verify of %s after %s", view[1], after)
                    .isZero();
        });
    }

    private java.util.stream.Stream<String[]> views() {
        return sql.text(VIEWS).lines().map(line -> line.split(";"));
    }

    /** A projection must be identical to its definition; a sum may have another scale. */
    private void agrees(String kind, String relation, String oracle, String after) {
        String row = kind.equals("projection") ? "x::text" : "to_jsonb(x)";
        assertThat(sql.text(Differences.sql(row, relation, oracle)))
                .as("%s against its oracle after %s", relation, after)
                .isEmpty();
    }

    /** Asserts that the statement fails with this SQLSTATE, a full sentence and, for the engine's own errors, a hint. */
    String refused(String sqlstate, String statement) {
        Throwable thrown = catchThrowable(() -> sql.run(statement));
        assertThat(thrown).as(statement).isNotNull();
        assertThat(thrown.getCause()).as(statement).isInstanceOf(PSQLException.class);
        ServerErrorMessage error = ((PSQLException) thrown.getCause()).getServerErrorMessage();
        assertThat(error.getSQLState()).as(error.getMessage()).isEqualTo(sqlstate);
        if (sqlstate.startsWith("TL")) {
            assertThat(error.getMessage()).endsWith(".");
            assertThat(error.getHint()).as("hint of: " + error.getMessage()).isNotBlank();
        }
        return error.getMessage();
    }

    /** Kills this session's backend, which makes the server restart all its processes as after a crash. */
    void crash() {
        String before = text(CHECKPOINTER);
        ProcessHandle.of(number("SELECT pg_backend_pid()")).orElseThrow().destroyForcibly();
        sql = Eventually.await("a connection", () -> connect(before), session -> session != null);
        sql.run("SET statement_timeout = '30s'");
    }

    private Sql connect(String before) {
        try {
            Sql session = new Sql(db);
            if (!session.text(CHECKPOINTER).equals(before)) {
                return session;
            }
            session.close();
            return null; // of the server as it was
        } catch (StartupException | DataAccessException | SQLException e) {
            return null; // it recovers
        }
    }

    /** A second session. */
    Sql session() {
        Sql session = new Sql(db);
        session.run("SET statement_timeout = '30s'");
        return session;
    }

    @Override
    public void close() throws SQLException {
        sql.close();
    }
}
