package dev.countersink.admin;

import com.zaxxer.hikari.HikariDataSource;
import dev.countersink.db.PoolState;
import dev.countersink.embedded.Servers;
import dev.countersink.ingest.nats.NatsState;
import io.nats.client.Connection;
import org.springframework.stereotype.Component;

/** How this instance is connected to its two servers. */
@Component
class Connections {
    private final Connection nats;
    private final HikariDataSource pool;
    private final Servers servers;

    Connections(Connection nats, HikariDataSource pool, Servers servers) {
        this.nats = nats;
        this.pool = pool;
        this.servers = servers;
    }

    NatsState nats() {
        return NatsState.of(nats, servers.nats());
    }

    PoolState database() {
        return PoolState.of(pool, servers.db());
    }
}
