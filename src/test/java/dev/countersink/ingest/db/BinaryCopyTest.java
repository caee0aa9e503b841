package dev.countersink.ingest.db;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.db.Database;
import dev.countersink.testing.TestPostgres;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Arrays;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;

class BinaryCopyTest {
    private Connection connection;
    private Statement statement;

    @BeforeEach
    void open() throws SQLException {
        connection = Database.connect(TestPostgres.empty());
        statement = connection.createStatement();
        statement.execute("CREATE TABLE every_type"
                + " (n int, i bigint, f float8, b boolean, t text, at timestamptz, a float4[], nothing text)");
    }

    @AfterEach
    void close() throws SQLException {
        connection.close();
    }

    @Test
    void everyTypeArrivesAsItWas() throws SQLException {
        float[] scores = {0.1f, -0.0f, Float.MAX_VALUE, 1e-45f};
        try (BinaryCopy copy = new BinaryCopy(manager(), "every_type", () -> {})) {
            copy.row(8);
            copy.integer(Integer.MIN_VALUE);
            copy.bigint(Long.MAX_VALUE);
            copy.float8(0.1);
            copy.bool(true);
            copy.text("Ångström 🦋 \t\n");
            copy.timestamptz(1_776_376_800_123_456L);
            copy.float4Array(scores);
            copy.text(null);
            assertThat(copy.finish()).isOne();
        }
        ResultSet row = only("SELECT * FROM every_type");
        assertThat(row.getInt("n")).isEqualTo(Integer.MIN_VALUE);
        assertThat(row.getLong("i")).isEqualTo(Long.MAX_VALUE);
        assertThat(row.getDouble("f")).isEqualTo(0.1);
        assertThat(row.getBoolean("b")).isTrue();
        assertThat(row.getString("t")).isEqualTo("Ångström 🦋 \t\n");
        assertThat(row.getArray("a").getArray()).isEqualTo(new Float[] {0.1f, -0.0f, Float.MAX_VALUE, 1e-45f});
        assertThat(row.getString("nothing")).isNull();
        assertThat(only("SELECT at = '2026-04-16 22:00:00.123456+00' FROM every_type")
                        .getBoolean(1))
                .isTrue();
    }

    @Test
    void everyTypeMayBeNull() throws SQLException {
        try (BinaryCopy copy = new BinaryCopy(manager(), "every_type", () -> {})) {
            copy.row(8);
            copy.nothing();
            copy.bigint((Long) null);
            copy.nothing();
            copy.nothing();
            copy.text(null);
            copy.nothing();
            copy.float4Array(null);
            copy.nothing();
            copy.finish();
        }
        assertThat(only("SELECT num_nulls(n, i, f, b, t, at, a, nothing) FROM every_type")
                        .getInt(1))
                .isEqualTo(8);
    }

    @Test
    void valuesLargerThanTheBufferArriveWhole() throws SQLException {
        float[] scores = new float[100_000];
        for (int i = 0; i < scores.length; i++) {
            scores[i] = i;
        }
        String text = "ü".repeat(100_001);
        try (BinaryCopy copy = new BinaryCopy(manager(), "every_type (t, a)", () -> {})) {
            for (int i = 0; i < 3; i++) {
                copy.row(2);
                copy.text(text);
                copy.float4Array(scores);
            }
            assertThat(copy.finish()).isEqualTo(3);
        }
        ResultSet row = only("SELECT count(*), min(length(t)), min(array_length(a, 1)), min(a[99999]) FROM every_type");
        assertThat(Arrays.asList(row.getInt(1), row.getInt(2), row.getInt(3), row.getInt(4)))
                .containsExactly(3, 100_001, 100_000, 99_998);
    }

    @Test
    void anEmptyArrayIsEmptyAndNotNull() throws SQLException {
        try (BinaryCopy copy = new BinaryCopy(manager(), "every_type (a)", () -> {})) {
            copy.row(1);
            copy.float4Array(new float[0]);
            copy.finish();
        }
        assertThat(only("SELECT a = '{}' FROM every_type").getBoolean(1)).isTrue();
    }

    @Test
    void aCopyThatIsNotFinishedLeavesNothingAndTheConnectionUsable() throws SQLException {
        try (BinaryCopy copy = new BinaryCopy(manager(), "every_type (n)", () -> {})) {
            copy.row(1);
            copy.integer(1);
        }
        assertThat(only("SELECT count(*) FROM every_type").getInt(1)).isZero();
    }

    private CopyManager manager() throws SQLException {
        return connection.unwrap(PGConnection.class).getCopyAPI();
    }

    private ResultSet only(String sql) throws SQLException {
        ResultSet rows = statement.executeQuery(sql);
        assertThat(rows.next()).isTrue();
        return rows;
    }
}
