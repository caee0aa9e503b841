package dev.countersink.explain;

import dev.countersink.config.StartupException;
import dev.countersink.db.Database;
import dev.countersink.db.SqlError;
import dev.countersink.db.TallyDb;
import java.io.PrintStream;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;
import org.springframework.dao.DataAccessException;
import org.springframework.jdbc.datasource.SingleConnectionDataSource;

/** Prints what {@code tally.explain} says of a view, and the SQL to paste. It changes nothing in the database. */
public final class ExplainCommand {
    private static final int USAGE = 2;
    private static final int REFUSED = 1;

    /** undefined_function, invalid_schema_name. */
    private static final List<String> ENGINE_MISSING = List.of("42883", "3F000");

    private ExplainCommand() {}

    public static int execute(List<String> arguments) {
        ExplainOptions options;
        try {
            options = ExplainOptions.parse(arguments, System.getenv());
        } catch (IllegalArgumentException e) {
            System.err.println(e.getMessage());
            return USAGE;
        }
        return execute(options, System.out, System.err);
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
