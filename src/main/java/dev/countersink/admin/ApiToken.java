package dev.countersink.admin;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.util.HexFormat;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The bearer token of the admin API.
 *
 * @param configured whether it was configured; otherwise it was made for this run only
 */
record ApiToken(String value, boolean configured) {
    private static final int BYTES = 24;
    /** The second one is what workers of ML pipelines send. */
    private static final List<String> SCHEMES = List.of("Bearer ", "Token ");

    static ApiToken of(@Nullable String value) {
        return value == null ? new ApiToken(random(), false) : new ApiToken(value, true);
    }

    /** Whether an Authorization header has it. */
    boolean isIn(@Nullable String header) {
        return header != null
                && SCHEMES.stream()
                        .anyMatch(scheme -> header.regionMatches(true, 0, scheme, 0, scheme.length())
                                && matches(header.substring(scheme.length()).strip()));
    }

    /** Takes the same time for every wrong token, so that it cannot be guessed from the time. */
    boolean matches(String given) {
        return MessageDigest.isEqual(value.getBytes(StandardCharsets.UTF_8), given.getBytes(StandardCharsets.UTF_8));
    }

    @Override
    public String toString() {
        return "ApiToken[…]";
    }

    private static String random() {
        byte[] bytes = new byte[BYTES];
        new SecureRandom().nextBytes(bytes);
        return HexFormat.of().formatHex(bytes);
    }
}
