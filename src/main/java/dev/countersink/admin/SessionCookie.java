package dev.countersink.admin;

import jakarta.servlet.http.Cookie;
import jakarta.servlet.http.HttpServletRequest;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.HexFormat;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.springframework.http.ResponseCookie;

/**
 * The cookie of somebody who has signed in on the dashboard: when it ends, and a signature that only an instance with the
 * token can make. Nothing is stored, so every instance with the same token accepts it, and another token ends it.
 */
final class SessionCookie {
    static final String NAME = "countersink_session";
    static final Duration VALID = Duration.ofHours(12);

    private static final Pattern VALUE = Pattern.compile("(\\d{1,12})\\.([0-9a-f]{32})\\.([0-9a-f]{64})");
    private static final String ALGORITHM = "HmacSHA256";
    private static final int NONCE_BYTES = 16;

    private final ApiToken token;
    private final InstantSource clock;
    private final SecureRandom random = new SecureRandom();

    SessionCookie(ApiToken token, InstantSource clock) {
        this.token = token;
        this.clock = clock;
    }

    /** A new one, which scripts cannot read and other sites cannot have sent. */
    ResponseCookie issue(boolean secure) {
        byte[] nonce = new byte[NONCE_BYTES];
        random.nextBytes(nonce);
        String begin = String.format(
                Locale.ROOT,
                "%d.%s",
                clock.instant().plus(VALID).getEpochSecond(),
                HexFormat.of().formatHex(nonce));
        return cookie(begin + "." + signature(begin), VALID, secure);
    }

    /** One that makes the browser forget the other. */
    ResponseCookie end(boolean secure) {
        return cookie("", Duration.ZERO, secure);
    }

    private static ResponseCookie cookie(String value, Duration age, boolean secure) {
        return ResponseCookie.from(NAME, value)
                .path("/")
                .maxAge(age)
                .httpOnly(true)
                .sameSite("Strict")
                .secure(secure)
                .build();
    }

    boolean isIn(HttpServletRequest request) {
        Cookie[] cookies = request.getCookies();
        if (cookies != null) {
            for (Cookie cookie : cookies) {
                if (NAME.equals(cookie.getName()) && isValid(String.valueOf(cookie.getValue()))) {
                    return true;
                }
            }
        }
        return false;
    }

    boolean isValid(String value) {
        Matcher parts = VALUE.matcher(value);
        return parts.matches()
                && MessageDigest.isEqual(
                        signature(parts.group(1) + "." + parts.group(2)).getBytes(StandardCharsets.US_ASCII),
                        parts.group(3).getBytes(StandardCharsets.US_ASCII))
                && clock.instant().isBefore(Instant.ofEpochSecond(Long.parseLong(parts.group(1))));
    }

    private String signature(String text) {
        try {
            Mac mac = Mac.getInstance(ALGORITHM);
            mac.init(new SecretKeySpec(token.value().getBytes(StandardCharsets.UTF_8), ALGORITHM));
            return HexFormat.of().formatHex(mac.doFinal((NAME + " " + text).getBytes(StandardCharsets.UTF_8)));
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException("Every Java has " + ALGORITHM + ".", e);
        }
    }
}
