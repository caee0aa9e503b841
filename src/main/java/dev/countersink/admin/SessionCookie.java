package dev.countersink.admin;

import dev.countersink.digest.Sha256;
import jakarta.servlet.http.Cookie;
import jakarta.servlet.http.HttpServletRequest;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.springframework.http.ResponseCookie;

/**
 * The cookie of somebody who has signed in on the dashboard: when it ends, the name of the token, and a signature that only an
 * instance with COUNTERSINK_API_TOKEN can make. It is not stored: every instance with the same COUNTERSINK_API_TOKEN accepts it,
 * and it ends with either token.
 */
final class SessionCookie {
    static final String NAME = "countersink_session";
    static final Duration VALID = Duration.ofHours(12);

    private static final Pattern VALUE =
            Pattern.compile("(\\d{1,12})\\.([0-9a-f]{32})\\.([A-Za-z0-9._-]{1,63})\\.([0-9a-f]{64})");
    private static final int NONCE_BYTES = 16;

    private final ApiToken token;
    private final InstantSource clock;
    private final SecureRandom random = new SecureRandom();

    SessionCookie(ApiToken token, InstantSource clock) {
        this.token = token;
        this.clock = clock;
    }

    /**
     * Where a browser sends it.
     *
     * @param prefix the path under which a proxy serves this instance
     * @param secure only over TLS
     */
    record Place(String prefix, boolean secure) {}

    /**
     * A new one, which scripts cannot read and other sites cannot have sent.
     *
     * @param hash of the token of this name
     */
    ResponseCookie issue(String name, byte[] hash, Place place) {
        byte[] nonce = new byte[NONCE_BYTES];
        random.nextBytes(nonce);
        String begin = String.format(
                Locale.ROOT,
                "%d.%s.%s",
                clock.instant().plus(VALID).getEpochSecond(),
                HexFormat.of().formatHex(nonce),
                name);
        return cookie(begin + "." + signature(begin, hash), VALID, place);
    }

    /** One that makes the browser forget the other. */
    static ResponseCookie end(Place place) {
        return cookie("", Duration.ZERO, place);
    }

    private static ResponseCookie cookie(String value, Duration age, Place place) {
        return ResponseCookie.from(NAME, value)
                .path(place.prefix() + "/")
                .maxAge(age)
                .httpOnly(true)
                .sameSite("Strict")
                .secure(place.secure())
                .build();
    }

    /** The values of this cookie in a request, valid or not. */
    static List<String> in(HttpServletRequest request) {
        Cookie[] cookies = request.getCookies();
        return cookies == null
                ? List.of()
                : Arrays.stream(cookies)
                        .filter(cookie -> NAME.equals(cookie.getName()))
                        .map(cookie -> String.valueOf(cookie.getValue()))
                        .toList();
    }

    /** The name of the token that a value says it is of. */
    static Optional<String> tokenOf(String value) {
        Matcher parts = VALUE.matcher(value);
        return parts.matches() ? Optional.of(parts.group(3)) : Optional.empty();
    }

    /** @param hash of the token of the name that it says */
    boolean isValid(String value, byte[] hash) {
        Matcher parts = VALUE.matcher(value);
        return parts.matches()
                && MessageDigest.isEqual(
                        signature(parts.group(1) + "." + parts.group(2) + "." + parts.group(3), hash)
                                .getBytes(StandardCharsets.US_ASCII),
                        parts.group(4).getBytes(StandardCharsets.US_ASCII))
                && clock.instant().isBefore(Instant.ofEpochSecond(Long.parseLong(parts.group(1))));
    }

    /** The hash is part of what is signed, so a cookie ends with its token even if another gets the same name. */
    private String signature(String text, byte[] hash) {
        return Sha256.signature(
                token.value(), NAME + " " + text + " " + HexFormat.of().formatHex(hash));
    }
}
