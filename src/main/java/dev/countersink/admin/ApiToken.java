package dev.countersink.admin;

import dev.countersink.digest.Sha256;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The bearer token of COUNTERSINK_API_TOKEN, whose role is owner.
 *
 * @param configured whether it was configured; otherwise it was made for this run only
 */
record ApiToken(String value, boolean configured) {
    /** No named token has this name, for those are in lower case. */
    static final Caller CALLER = new Caller("COUNTERSINK_API_TOKEN", Role.OWNER);

    private static final int BYTES = 32;
    /** The second one is what workers of ML pipelines send. */
    private static final List<String> SCHEMES = List.of("Bearer ", "Token ");

    static ApiToken of(@Nullable String value) {
        return value == null ? new ApiToken(random(), false) : new ApiToken(value, true);
    }

    /** A token of 256 random bits. */
    static String random() {
        byte[] bytes = new byte[BYTES];
        new SecureRandom().nextBytes(bytes);
        return HexFormat.of().formatHex(bytes);
    }

    /** The token in an Authorization header, whoever's it is. */
    static Optional<String> in(@Nullable String header) {
        return header == null
                ? Optional.empty()
                : SCHEMES.stream()
                        .filter(scheme -> header.regionMatches(true, 0, scheme, 0, scheme.length()))
                        .map(scheme -> header.substring(scheme.length()).strip())
                        .findFirst();
    }

    /** What the database knows of a token instead of the token. */
    static byte[] hash(String token) {
        return Sha256.of(token);
    }

    /** Takes the same time for every wrong token, so that it cannot be guessed from the time. */
    boolean matches(String given) {
        return MessageDigest.isEqual(value.getBytes(StandardCharsets.UTF_8), given.getBytes(StandardCharsets.UTF_8));
    }

    @Override
    public String toString() {
        return "ApiToken[…]";
    }
}
