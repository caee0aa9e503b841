package dev.countersink.ingest.nats;

import io.nats.client.impl.NatsServerPool;
import io.nats.client.support.NatsUri;
import java.net.URISyntaxException;
import org.jspecify.annotations.Nullable;

/**
 * The servers to connect to. The client gives up for good if the same server refuses the login twice for the same reason; but a
 * login that has expired, or that the server does not know yet, may be mended. So each attempt counts as another server.
 */
final class PatientServers extends NatsServerPool {
    @Override
    public @Nullable NatsUri nextServer() {
        NatsUri next = super.nextServer();
        return next == null ? null : attempt(next);
    }

    private static NatsUri attempt(NatsUri server) {
        try {
            return new Attempt(server);
        } catch (URISyntaxException e) {
            return server;
        }
    }

    /** It equals its server, but is found in no map under which another attempt at it was put. */
    private static final class Attempt extends NatsUri {
        Attempt(NatsUri server) throws URISyntaxException {
            super(server.getUri());
        }

        @Override
        public NatsUri reHost(String host) throws URISyntaxException {
            return new Attempt(super.reHost(host));
        }

        @Override
        public int hashCode() {
            return System.identityHashCode(this);
        }

        @Override
        public boolean equals(Object other) {
            return super.equals(other);
        }
    }
}
