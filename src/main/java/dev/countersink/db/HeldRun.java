package dev.countersink.db;

import java.sql.Connection;
import java.sql.SQLException;
import java.util.Optional;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.jdbc.CannotGetJdbcConnectionException;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.jdbc.datasource.SingleConnectionDataSource;

/**
 * A run that is taken up, and the connection that holds it: a lock of its session keeps others from taking it up too. When
 * the instance dies, its connections end, and the run is free again.
 */
public final class HeldRun implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(HeldRun.class);

    private final Connection connection;
    private final SingleConnectionDataSource source;
    private final JdbcClient jdbc;
    private final ControlDb.Task task;

    private HeldRun(Connection connection, SingleConnectionDataSource source, ControlDb.Task task) {
        this.connection = connection;
        this.source = source;
        this.jdbc = JdbcClient.create(source);
        this.task = task;
    }

    static Optional<HeldRun> take(DataSource dataSource, String instance, @Nullable Long run) {
        Connection connection;
        try {
            connection = dataSource.getConnection();
        } catch (SQLException e) {
            throw new CannotGetJdbcConnectionException("No connection for a run", e);
        }
        SingleConnectionDataSource source = new SingleConnectionDataSource(connection, true);
        try {
            Optional<ControlDb.Task> task = JdbcClient.create(source)
                    .sql("SELECT id AS run, action, view, dead_letter, sample FROM control.take_run(?, ?::bigint)")
                    .param(instance)
                    .param(run)
                    .query(ControlDb.Task.class)
                    .optional();
            if (task.isEmpty()) {
                source.destroy();
            }
            return task.map(what -> new HeldRun(connection, source, what));
        } catch (RuntimeException e) {
            source.destroy();
            throw e;
        }
    }

    public ControlDb.Task task() {
        return task;
    }

    /** The engine, over this run's connection. */
    public TallyDb tally() {
        return new TallyDb(source);
    }

    /** Records that it has done its work. */
    public void finish(String resultJson) {
        jdbc.sql("SELECT FROM control.finish_run(?, ?::jsonb)")
                .params(task.run(), resultJson)
                .query(row -> {});
    }

    /** Gives its connection back without the lock. */
    @Override
    public void close() {
        try {
            jdbc.sql("SELECT FROM control.release_run(?)").param(task.run()).query(row -> {});
        } catch (RuntimeException e) {
            // What is broken is not given to anybody else; its session ends, and the lock with it.
            abort();
        } finally {
            source.destroy();
        }
    }

    private void abort() {
        try {
            connection.abort(Runnable::run);
        } catch (SQLException e) {
            LOG.debug("A broken connection could not be closed", e);
        }
    }
}
