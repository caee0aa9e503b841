package dev.countersink.tally.random;

import dev.countersink.tally.random.RandomViews.Family;
import dev.countersink.tally.random.RandomViews.View;
import dev.countersink.testing.Differences;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.postgresql.PGStatement;

/** Compares derived views with the plain views that define them, on one connection. */
final class Oracle {
    private final Connection connection;
    private final Figures figures;
    private final Map<String, PreparedStatement> comparisons = new HashMap<>();

    Oracle(Connection connection, Figures figures) {
        this.connection = connection;
        this.figures = figures;
    }

    /** Compares every live view, and what tally.verify returns for some, in one snapshot. */
    void live(Collection<View> views, List<Family> verified) throws SQLException {
        connection.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
        for (View view : views) {
            same(view, view.live());
        }
        for (Family family : verified) {
            verify(family);
        }
        connection.commit();
        figures.snapshots.incrementAndGet();
    }

    /** Compares stored, live and oracle, when nothing is pending. */
    void stored(Collection<View> views) throws SQLException {
        connection.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
        for (View view : views) {
            same(view, view.name());
            same(view, view.live());
        }
        connection.commit();
    }

    void verify(Family family) throws SQLException {
        String sql = "SELECT coalesce(string_agg(to_jsonb(v)::text, E'\\n'), '') FROM tally.verify($v$%s$v$) v"
                .formatted(family.projection().name());
        try (Statement statement = connection.createStatement();
                ResultSet row = statement.executeQuery(sql)) {
            row.next();
            expectNothing("verify of " + family.projection().name(), row.getString(1));
        }
        figures.verified.incrementAndGet();
    }

    private void same(View view, String relation) throws SQLException {
        PreparedStatement comparison = comparisons.get(relation);
        if (comparison == null) {
            comparison = connection.prepareStatement(Differences.sql(view.row(), relation, view.oracle()));
            comparison.unwrap(PGStatement.class).setPrepareThreshold(1); // planning would take most of the time
            comparisons.put(relation, comparison);
        }
        try (ResultSet row = comparison.executeQuery()) {
            row.next();
            String differences = row.getString(1);
            expectNothing(
                    relation + " against its oracle",
                    differences.isEmpty() || !view.projection() ? differences : differences + "\n" + state(view));
        }
        figures.comparisons.incrementAndGet();
    }

    /** The engine's state in this snapshot, for the error message. */
    private String state(View view) throws SQLException {
        String sql = """
                SELECT concat_ws(E'\\n', 'snapshot ' || pg_current_snapshot(), (SELECT string_agg('stored  ' || x::text, E'\\n') FROM %1$s x),
                    (SELECT string_agg('delta  ' || d::text, E'\\n') FROM %2$s d), (SELECT string_agg('state  ' || m::text, E'\\n') FROM tally.merge_state m))""".formatted(view.name(), view.name().replaceFirst("\"$", "_delta\""));
        try (Statement statement = connection.createStatement();
                ResultSet row = statement.executeQuery(sql)) {
            row.next();
            return row.getString(1);
        }
    }

    private void expectNothing(String what, String differences) {
        if (!differences.isEmpty()) {
            figures.differences.incrementAndGet();
            throw new AssertionError(what + ":\n" + differences);
        }
    }
}
