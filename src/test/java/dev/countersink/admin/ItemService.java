package dev.countersink.admin;

import dev.countersink.config.DbSettings;
import dev.countersink.testing.ItemView;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestInstance;
import dev.countersink.testing.TestNats;
import dev.countersink.testing.TestPostgres;
import java.sql.SQLException;
import java.util.HashMap;
import java.util.Map;

/** An instance with {@link ItemView} and servers of its own; only what a test requests is merged. */
final class ItemService implements AutoCloseable {
    private final DbSettings db = TestPostgres.migrated();
    private final Sql sql = new Sql(db);
    private final TestNats nats = new TestNats();
    private final TestInstance instance;

    ItemService() throws SQLException {
        this(Map.of());
    }

    /** @param more settings */
    ItemService(Map<String, Object> more) throws SQLException {
        Map<String, Object> settings = new HashMap<>(Map.of("countersink.refresh.interval", "1h"));
        settings.putAll(more);
        try {
            ItemView.create(sql);
            instance = TestInstance.start(db, nats, settings);
        } catch (RuntimeException e) {
            closeServers();
            throw e;
        }
    }

    Sql sql() {
        return sql;
    }

    DbSettings database() {
        return db;
    }

    TestInstance instance() {
        return instance;
    }

    @Override
    public void close() throws SQLException {
        try {
            instance.close();
        } finally {
            closeServers();
        }
    }

    private void closeServers() throws SQLException {
        try {
            nats.close();
        } finally {
            sql.close();
        }
    }
}
