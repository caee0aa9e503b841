package dev.countersink.admin;

import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.time.Duration;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Requests with a token that is not valid, by the address that they come from. After so many of them within a minute, others
 * of that address are told to wait; requests with a valid token never are.
 */
final class FailedLogins {
    private static final Logger LOG = LoggerFactory.getLogger(FailedLogins.class);
    private static final long WINDOW = Duration.ofMinutes(1).toNanos();
    private static final long BETWEEN_LINES = Duration.ofSeconds(10).toNanos();
    private static final int MOST_ADDRESSES = 10_000;
    private static final int IPV6 = 16;
    private static final int NETWORK = 8;

    private final int allowed;
    private final LongSupplier clock;
    private final Counter counter;
    private final Map<String, Window> windows = new LinkedHashMap<>();
    private long unsaid;
    private long saidAt;

    /**
     * @param allowed how many an address may send within a minute, 0 for any number
     * @param clock in nanoseconds
     */
    FailedLogins(int allowed, LongSupplier clock, MeterRegistry registry) {
        this.allowed = allowed;
        this.clock = clock;
        this.saidAt = clock.getAsLong() - BETWEEN_LINES;
        this.counter = Counter.builder("countersink.logins.failed")
                .description("requests with a token that is not valid")
                .register(registry);
    }

    /** Those of an address within a minute from the first. */
    private static final class Window {
        private final long begin;
        private int failures;

        Window(long begin) {
            this.begin = begin;
        }
    }

    /**
     * Notes a failure.
     *
     * @return for how many seconds this address has to wait; 0 if it has not
     */
    synchronized long failed(String from) {
        String address = network(from);
        counter.increment();
        log(from);
        if (allowed == 0) {
            return 0;
        }
        long now = clock.getAsLong();
        Window window = windows.get(address);
        if (window == null || now - window.begin >= WINDOW) {
            windows.remove(address);
            window = new Window(now);
            windows.put(address, window);
            forget(now);
        }
        window.failures++;
        return window.failures <= allowed
                ? 0
                : Math.max(1, Duration.ofNanos(WINDOW - (now - window.begin)).toSeconds());
    }

    /** An address of IPv6 stands for its /64: whoever has one has all of them. */
    private static String network(String address) {
        if (address.indexOf(':') < 0) {
            return address;
        }
        try {
            byte[] bytes =
                    InetAddress.getByName(address).getAddress(); // it has a colon, so nobody is asked for its name
            return bytes.length == IPV6
                    ? HexFormat.of().formatHex(bytes, 0, NETWORK)
                    : InetAddress.getByAddress(bytes).getHostAddress();
        } catch (UnknownHostException e) {
            return address;
        }
    }

    /** The oldest come first. */
    private void forget(long now) {
        var oldest = windows.values().iterator();
        while (oldest.hasNext() && (now - oldest.next().begin >= WINDOW || windows.size() > MOST_ADDRESSES)) {
            oldest.remove();
        }
    }

    private void log(String address) {
        unsaid++;
        long now = clock.getAsLong();
        if (now - saidAt >= BETWEEN_LINES) {
            LOG.warn("{} requests with a token that is not valid, the last one from {}", unsaid, address);
            unsaid = 0;
            saidAt = now;
        }
    }
}
