package dev.countersink.explain;

import dev.countersink.config.DbSettings;
import dev.countersink.config.StartupException;
import dev.countersink.db.Database;
import dev.countersink.db.SqlError;
import dev.countersink.db.TallyDb;
import java.io.PrintStream;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.springframework.dao.DataAccessException;
import org.springframework.jdbc.datasource.SingleConnectionDataSource;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Prints what {@code tally.explain} returns for a view, and the SQL to keep it. It changes nothing in the database. */
@Command(name = "explain", description = "What keeping a view takes, and the SQL to paste; writes nothing.")
public final class ExplainCommand implements Callable<Integer> {
    private static final int REFUSED = 1;

    /** undefined_function, invalid_schema_name. */
    private static final List<String> ENGINE_MISSING = List.of("42883", "3F000");

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it before call()
    private CommandSpec spec;

    @Parameters(paramLabel = "VIEW", description = "its name, as SQL would quote it")
    @SuppressWarnings("NullAway.Init") // picocli sets it before call(), or refuses the command line
    private String view;

    @Option(
            names = "--key",
            paramLabel = "COLUMN",
            split = ",",
            description = "the key; without it the keys that would do")
    private @Nullable List<String> key;

    @Option(
            names = "--url",
            paramLabel = "URL",
            description = "the database, as in postgres://host/name (COUNTERSINK_DB_URL)")
    private @Nullable String url;

    @Option(names = "--user", paramLabel = "USER", description = "in it (COUNTERSINK_DB_USER)")
    private @Nullable String user;

    @Option(names = "--password", paramLabel = "PASSWORD", description = "the user's (COUNTERSINK_DB_PASSWORD)")
    private @Nullable String password;

    @Override
    public Integer call() {
        return execute(options(System.getenv()), System.out, System.err);
    }

    ExplainOptions options(Map<String, String> environment) {
        String where = given(url, environment.get("COUNTERSINK_DB_URL"));
        if (where == null) {
            throw new ParameterException(
                    spec.commandLine(), "Where is " + view + "? Neither --url nor COUNTERSINK_DB_URL is given.");
        }
        return new ExplainOptions(
                view,
                key,
                DbSettings.of(
                        where,
                        given(user, environment.get("COUNTERSINK_DB_USER")),
                        given(password, environment.get("COUNTERSINK_DB_PASSWORD"))));
    }

    private static @Nullable String given(@Nullable String option, @Nullable String variable) {
        return option != null ? option : variable;
    }

    static int execute(ExplainOptions options, PrintStream out, PrintStream err) {
        try (Connection connection = Database.connect(options.db())) {
            connection.setReadOnly(true);
            TallyDb tally = new TallyDb(new SingleConnectionDataSource(connection, true));
            ExplainTable.print(
                    tally.explain(options.view(), options.key()),
                    tally.keepStatements(options.view(), options.key()),
                    out);
            return 0;
        } catch (DataAccessException e) {
            return refused(SqlError.in(e).orElseThrow(() -> e), err);
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        }
    }

    private static int refused(SqlError error, PrintStream err) {
        if (ENGINE_MISSING.contains(error.code())) {
            throw new StartupException(
                    "The engine is not in this database, or an older one is.",
                    "Install it with psql -d DATABASE -f sql/tally/install.sql.");
        }
        err.println(error.message());
        if (error.hint() != null) {
            err.println(error.hint());
        }
        return REFUSED;
    }
}
