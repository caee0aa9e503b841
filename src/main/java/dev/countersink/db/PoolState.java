package dev.countersink.db;

import com.zaxxer.hikari.HikariDataSource;
import com.zaxxer.hikari.HikariPoolMXBean;
import dev.countersink.config.DbSettings;

/**
 * The pool of connections to the database at a moment. Writers of results have connections of their own.
 *
 * @param url as it is configured, without secrets
 * @param active connections in use
 * @param idle connections that wait for work
 * @param waiting threads that wait for a connection
 * @param most connections that there may be
 */
public record PoolState(String url, int active, int idle, int waiting, int most) {

    public static PoolState of(HikariDataSource dataSource, DbSettings settings) {
        HikariPoolMXBean pool = dataSource.getHikariPoolMXBean();
        int most = dataSource.getMaximumPoolSize();
        return pool == null
                ? new PoolState(settings.shownUrl(), 0, 0, 0, most)
                : new PoolState(
                        settings.shownUrl(),
                        pool.getActiveConnections(),
                        pool.getIdleConnections(),
                        pool.getThreadsAwaitingConnection(),
                        most);
    }
}
