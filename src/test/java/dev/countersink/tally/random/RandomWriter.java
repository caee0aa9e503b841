package dev.countersink.tally.random;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;

/** One writer: transactions of random statements, some of them rolled back partly or completely. */
final class RandomWriter {
    private final Connection connection;
    private final RandomStatements statements;
    private final Random random;
    private final Figures figures;
    private final List<String> kinds = new ArrayList<>();
    private String last = "";

    RandomWriter(Connection connection, RandomSchema schema, Random random, Figures figures) {
        this.figures = figures;
        this.connection = connection;
        this.statements = new RandomStatements(schema, random);
        this.random = random;
    }

    /** Whether the next transaction truncates. This must be known before, because no snapshot may span it. */
    boolean willTruncate() {
        return random.nextInt(60) == 0;
    }

    /** Runs one transaction; returns its token, or null if it was rolled back. */
    String transaction(boolean truncates) throws SQLException {
        kinds.clear();
        int level = random.nextInt(12);
        connection.setTransactionIsolation(
                level == 0
                        ? Connection.TRANSACTION_SERIALIZABLE
                        : level < 3 ? Connection.TRANSACTION_REPEATABLE_READ : Connection.TRANSACTION_READ_COMMITTED);
        try (Statement statement = connection.createStatement()) {
            if (truncates) {
                execute(statement, statements.truncate());
            }
            if (!truncates || random.nextBoolean()) {
                for (int n = 1 + random.nextInt(random.nextInt(10) == 0 ? 12 : 4); n > 0; n--) {
                    write(statement);
                }
            }
            if (random.nextInt(10) == 0) {
                connection.rollback();
                return null;
            }
            String token = RandomCase.text(statement, "SELECT tally.token()");
            last = "COMMIT after " + last;
            connection.commit();
            kinds.forEach(figures::count);
            return token;
        } catch (SQLException e) {
            connection.rollback();
            if (!isOfChance(e)) {
                throw new SQLException(last, e);
            }
            return null;
        }
    }

    private void write(Statement statement) throws SQLException {
        int dice = random.nextInt(10);
        if (dice == 0) {
            copy();
            return;
        }
        List<String> batch = new ArrayList<>();
        if (dice == 1) {
            batch.addAll(statements.childrenFirst());
        }
        if (batch.isEmpty()) {
            batch.add(statements.next());
        }
        boolean undone = random.nextInt(8) == 0;
        boolean forgiven = random.nextBoolean();
        if (!undone && !forgiven) {
            for (String sql : batch) {
                execute(statement, sql);
            }
            return;
        }
        statement.execute("SAVEPOINT s");
        try {
            for (String sql : batch) {
                execute(statement, sql);
            }
            statement.execute(undone ? "ROLLBACK TO SAVEPOINT s" : "RELEASE SAVEPOINT s");
            kinds.add(undone ? "undone to a savepoint" : "in a savepoint");
        } catch (SQLException e) {
            if (!e.getSQLState().startsWith("23")) {
                throw e;
            }
            statement.execute("ROLLBACK TO SAVEPOINT s");
        }
    }

    private void execute(Statement statement, String sql) throws SQLException {
        last = sql;
        statement.execute(sql);
        kinds.add(kind(sql));
    }

    private static String kind(String sql) {
        String word = sql.substring(0, sql.indexOf(' '));
        return switch (word) {
            case "INSERT" ->
                sql.contains("DO UPDATE")
                        ? "ON CONFLICT DO UPDATE"
                        : sql.contains("DO NOTHING") ? "ON CONFLICT DO NOTHING" : word;
            case "UPDATE" -> sql.contains(" p WHERE ") ? "UPDATE FROM" : word;
            case "SELECT" -> "function";
            case "DO" -> "block";
            default -> word;
        };
    }

    private void copy() throws SQLException {
        Table table = statements.anyTable();
        last = "COPY of " + statements.rowsToCopy(table);
        CopyManager copies = connection.unwrap(PGConnection.class).getCopyAPI();
        ByteArrayOutputStream rows = new ByteArrayOutputStream();
        try {
            copies.copyOut("COPY (%s) TO STDOUT".formatted(last.substring("COPY of ".length())), rows);
            String target = "COPY %s (%s) FROM STDIN".formatted(table.sql(), Table.list(table.columns()));
            copies.copyIn(target, new ByteArrayInputStream(rows.toByteArray()));
            kinds.add("COPY");
        } catch (IOException e) {
            throw new SQLException(e);
        }
    }

    /** Deadlocks, serialization failures, and violated constraints. */
    static boolean isOfChance(SQLException e) {
        String state = String.valueOf(e.getSQLState());
        return state.startsWith("40") || state.startsWith("23") || state.equals("27000");
    }
}
