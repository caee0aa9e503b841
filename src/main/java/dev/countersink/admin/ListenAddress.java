package dev.countersink.admin;

import dev.countersink.config.ApiSettings;
import dev.countersink.config.HttpSettings;
import dev.countersink.config.StartupException;
import java.io.IOException;
import java.net.BindException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.NetworkInterface;
import java.net.ServerSocket;
import java.net.UnknownHostException;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.bind.Binder;
import org.springframework.core.env.Environment;

/** Where the admin API listens. It is tried first, so that an instance that cannot be reached does not begin to work. */
public final class ListenAddress {
    private static final String ADDRESS = "COUNTERSINK_HTTP_ADDRESS";
    private static final int FIRST_FREE_FOR_ALL = 1024;

    private ListenAddress() {}

    /**
     * Opens the port for a moment.
     *
     * @throws StartupException if the API could not listen there
     */
    public static void check(Environment environment) {
        Binder binder = Binder.get(environment);
        HttpSettings http = binder.bindOrCreate("countersink.http", HttpSettings.class);
        ApiSettings api = binder.bindOrCreate("countersink.api", ApiSettings.class);
        check(of(http.address(), api.token() != null), http);
    }

    private static void check(@Nullable InetAddress address, HttpSettings http) {
        try (ServerSocket socket = new ServerSocket()) {
            if (address != null
                    && !address.isAnyLocalAddress()
                    && NetworkInterface.getByInetAddress(address) == null
                    && !address.isLoopbackAddress()) {
                throw foreign(String.valueOf(http.address()), null);
            }
            socket.bind(new InetSocketAddress(address, http.port()));
        } catch (BindException e) {
            throw refused(http.port(), e);
        } catch (IOException e) {
            throw new StartupException(
                    String.format(Locale.ROOT, "Port %d cannot be opened: %s.", http.port(), e.getMessage()),
                    "Choose another with COUNTERSINK_HTTP_PORT; 0 takes a free one.",
                    e);
        }
    }

    /** Why a port cannot be bound. */
    static StartupException refused(int port, BindException e) {
        boolean denied = String.valueOf(e.getMessage()).contains("ermission denied");
        if (denied && port < FIRST_FREE_FOR_ALL) {
            return new StartupException(
                    String.format(
                            Locale.ROOT, "Port %d cannot be opened: this user may not use ports below 1024.", port),
                    "Choose another with COUNTERSINK_HTTP_PORT and let a proxy listen there, or give the program the right"
                            + " CAP_NET_BIND_SERVICE.",
                    e);
        }
        if (denied) {
            return new StartupException(
                    String.format(Locale.ROOT, "Port %d cannot be opened: the system forbids it.", port),
                    "Choose another with COUNTERSINK_HTTP_PORT; 0 takes a free one.",
                    e);
        }
        return new StartupException(
                String.format(Locale.ROOT, "Port %d is in use by another program.", port),
                "Choose another with COUNTERSINK_HTTP_PORT; 0 takes a free one.",
                e);
    }

    /** The address to listen on, null for all of them. */
    static @Nullable InetAddress of(@Nullable String configured, boolean token) {
        try {
            if (configured == null) {
                return token ? null : InetAddress.getByName("127.0.0.1");
            }
            InetAddress address = InetAddress.getByName(configured);
            if (!token && !address.isLoopbackAddress()) {
                throw new StartupException(
                        String.format(
                                Locale.ROOT,
                                "%s is %s, but without a token of its own the API listens on loopback only.",
                                ADDRESS,
                                configured),
                        "Set COUNTERSINK_API_TOKEN, or leave the address out: the default is then 127.0.0.1.");
            }
            return address;
        } catch (UnknownHostException e) {
            throw foreign(String.valueOf(configured), e);
        }
    }

    private static StartupException foreign(String configured, @Nullable Exception cause) {
        return new StartupException(
                String.format(Locale.ROOT, "%s is %s, which is no address of this machine.", ADDRESS, configured),
                "Give an IP address of this machine, or leave it out.",
                cause);
    }
}
