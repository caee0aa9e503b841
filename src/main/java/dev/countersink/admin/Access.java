package dev.countersink.admin;

import jakarta.servlet.http.HttpServletRequest;
import java.util.Set;
import org.springframework.http.HttpHeaders;

/**
 * Who may call: whoever sends the token, or the cookie of the dashboard. With the cookie alone a request may only read: what
 * changes something needs the header X-Countersink too, which no page of another site can have sent.
 */
final class Access {
    static final String MARK = "X-Countersink";

    private static final Set<String> READING = Set.of("GET", "HEAD");

    private final ApiToken token;
    private final SessionCookie cookie;

    Access(ApiToken token, SessionCookie cookie) {
        this.token = token;
        this.cookie = cookie;
    }

    boolean admits(HttpServletRequest request) {
        return hasToken(request)
                || (READING.contains(request.getMethod()) || request.getHeader(MARK) != null) && cookie.isIn(request);
    }

    boolean hasToken(HttpServletRequest request) {
        return token.isIn(request.getHeader(HttpHeaders.AUTHORIZATION));
    }
}
