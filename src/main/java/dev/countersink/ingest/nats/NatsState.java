package dev.countersink.ingest.nats;

import dev.countersink.config.NatsSettings;
import io.nats.client.Connection;
import io.nats.client.api.ServerInfo;
import java.util.Locale;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The connection to NATS at a moment.
 *
 * @param state such as connected, disconnected or reconnecting
 * @param url as it is configured, without secrets
 * @param server address of the server in use; null while there is none
 * @param version of that server
 * @param reconnects since the start
 */
public record NatsState(
        String state,
        String url,
        @Nullable String server,
        @Nullable String version,
        long reconnects) {

    public static NatsState of(Connection connection, NatsSettings settings) {
        boolean connected = connection.getStatus() == Connection.Status.CONNECTED;
        ServerInfo info = connection.getServerInfo();
        String server = connection.getConnectedUrl();
        return new NatsState(
                connection.getStatus().name().toLowerCase(Locale.ROOT),
                settings.shownUrl(),
                connected && server != null ? NatsSettings.of(server, null).shownUrl() : null,
                connected && info != null ? Objects.requireNonNullElse(info.getVersion(), "") : null,
                connection.getStatistics().getReconnects());
    }
}
