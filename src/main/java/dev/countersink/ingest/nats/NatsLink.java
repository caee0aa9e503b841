package dev.countersink.ingest.nats;

import dev.countersink.config.NatsSettings;
import dev.countersink.config.StartupException;
import io.nats.client.AuthenticationException;
import io.nats.client.Connection;
import io.nats.client.ConnectionListener;
import io.nats.client.Consumer;
import io.nats.client.ErrorListener;
import io.nats.client.JetStreamOptions;
import io.nats.client.Nats;
import io.nats.client.Options;
import java.io.IOException;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.Locale;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Connects to NATS. Once connected, it reconnects by itself, however long the server is away or refuses the login. */
public final class NatsLink {
    private static final Logger LOG = LoggerFactory.getLogger(NatsLink.class);

    private static final Duration RECONNECT_PAUSE = Duration.ofMillis(250);
    private static final Duration REFUSED_PAUSE = Duration.ofSeconds(3);

    private NatsLink() {}

    public static Connection connect(NatsSettings settings) {
        try {
            return Nats.connect(options(settings));
        } catch (AuthenticationException e) {
            throw new StartupException(
                    String.format(
                            Locale.ROOT,
                            "NATS at %s refuses the login: %s.",
                            settings.shownUrl(),
                            settings.withoutSecrets(sentence(e))),
                    "Check COUNTERSINK_NATS_USER and COUNTERSINK_NATS_PASSWORD, COUNTERSINK_NATS_TOKEN"
                            + " or COUNTERSINK_NATS_CREDENTIALS.",
                    e);
        } catch (IOException | NoSuchAlgorithmException | IllegalArgumentException e) {
            throw new StartupException(
                    String.format(
                            Locale.ROOT,
                            "NATS at %s cannot be reached: %s.",
                            settings.shownUrl(),
                            settings.withoutSecrets(sentence(e))),
                    "Start it, or correct COUNTERSINK_NATS_URL.",
                    e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new StartupException("The start was interrupted.", "Start it again.", e);
        }
    }

    /** How JetStream's API is reached over the connection. */
    public static JetStreamOptions jetStream(NatsSettings settings) {
        JetStreamOptions.Builder builder = JetStreamOptions.builder();
        if (settings.domain() != null) {
            builder.domain(settings.domain());
        } else if (settings.prefix() != null) {
            builder.prefix(settings.prefix());
        }
        return builder.build();
    }

    private static Options options(NatsSettings settings) throws NoSuchAlgorithmException {
        Complaints complaints = new Complaints();
        Options.Builder builder = Options.builder()
                .servers(Objects.requireNonNull(settings.url()).split("\\s*,\\s*"))
                .connectionName("countersink")
                .connectionTimeout(Duration.ofSeconds(5))
                .maxReconnects(-1)
                .serverPool(new PatientServers())
                .reconnectDelayHandler(round -> complaints.isRefused() ? REFUSED_PAUSE : RECONNECT_PAUSE)
                .pingInterval(Duration.ofSeconds(2))
                .connectionListener(new StateLog(complaints))
                .errorListener(complaints);
        if (settings.credentials() != null) {
            builder.authHandler(Nats.credentials(settings.credentials()));
        } else if (settings.user() != null) {
            builder.userInfo(settings.user().toCharArray(), chars(settings.password()));
        } else if (settings.token() != null) {
            builder.token(settings.token().toCharArray());
        }
        if (settings.tls()) {
            builder.secure();
        }
        return builder.build();
    }

    private static char[] chars(@Nullable String text) {
        return text == null ? new char[0] : text.toCharArray();
    }

    private static String sentence(Exception e) {
        String text = e.getMessage() == null ? e.toString() : e.getMessage();
        return text.strip().replaceFirst("\\.$", "");
    }

    /** One line when the server goes away, and one when it is back, however often it is tried in between. */
    private static final class StateLog implements ConnectionListener {
        private final Complaints complaints;
        private long awaySince;
        private boolean away;

        StateLog(Complaints complaints) {
            this.complaints = complaints;
        }

        @Override
        public void connectionEvent(Connection connection, Events event, Long time, String uriDetails) {
            note(event);
        }

        /** The old form of the above, which still has to be there. */
        @Deprecated
        @Override
        public void connectionEvent(Connection connection, Events event) {
            note(event);
        }

        private synchronized void note(Events event) {
            switch (event) {
                case DISCONNECTED -> {
                    if (!away) {
                        away = true;
                        awaySince = System.nanoTime();
                        LOG.warn("NATS: the connection is lost; trying again");
                    }
                }
                case CONNECTED, RECONNECTED -> {
                    complaints.connected();
                    if (away) {
                        LOG.info(
                                "NATS: connected again, after {} s",
                                Duration.ofNanos(System.nanoTime() - awaySince).toSeconds());
                    }
                    away = false;
                }
                case CLOSED, LAME_DUCK -> LOG.info("NATS: {}", event);
                default -> LOG.debug("NATS: {}", event);
            }
        }
    }

    private static final class Complaints implements ErrorListener {
        private volatile boolean refused;
        private volatile String last = "";

        /** Whether the last attempt to connect has failed because the server does not accept the login. */
        boolean isRefused() {
            return refused;
        }

        void connected() {
            refused = false;
            last = "";
        }

        /** One line for the same error again and again, whatever subject it names. */
        @Override
        public void errorOccurred(Connection connection, String error) {
            String lower = error.toLowerCase(Locale.ROOT);
            refused |= lower.contains("authorization") || lower.contains("authentication");
            String kind = error.replaceAll("[\"'][^\"']*[\"']", "…");
            if (!kind.equals(last)) {
                last = kind;
                LOG.warn("NATS: {}", error);
            }
        }

        @Override
        public void exceptionOccurred(Connection connection, Exception e) {
            LOG.debug("NATS: {}", e.toString());
        }

        @Override
        public void slowConsumerDetected(Connection connection, Consumer consumer) {
            LOG.warn(
                    "NATS: {} messages came faster than they are decoded; the server sends them again",
                    consumer.getDroppedCount());
        }
    }
}
