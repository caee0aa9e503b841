package dev.countersink.admin;

import dev.countersink.db.AccessDb;
import jakarta.servlet.http.HttpServletRequest;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpHeaders;
import org.springframework.http.ResponseCookie;

/**
 * Who calls: whoever sends a token, or the cookie of the dashboard. With the cookie alone a request may only read: what
 * changes something needs the header X-Countersink too, which no page of another site can have sent.
 */
final class Access {
    static final String MARK = "X-Countersink";

    private static final String CALLER = Access.class.getName();
    private static final Set<String> READING = Set.of("GET", "HEAD");

    private final ApiToken token;
    private final NamedTokens named;
    private final SessionCookie cookie;

    Access(ApiToken token, NamedTokens named, SessionCookie cookie) {
        this.token = token;
        this.named = named;
        this.cookie = cookie;
    }

    /** Whoever sent this request; nobody if neither token nor cookie is valid. It is looked up once for each request. */
    Optional<Caller> caller(HttpServletRequest request) {
        @Nullable Object known = request.getAttribute(CALLER);
        if (known instanceof Optional<?> optional) {
            return optional.map(Caller.class::cast);
        }
        Optional<Caller> caller = byToken(request).or(() -> byCookie(request));
        request.setAttribute(CALLER, caller);
        return caller;
    }

    /** Whether whoever sent this request has a role, or one that may do more. */
    boolean includes(HttpServletRequest request, Role role) {
        return caller(request).filter(caller -> caller.role().includes(role)).isPresent();
    }

    /** Whether the sender of a request that is not over yet may still call: a token may have been revoked, a cookie have ended. */
    boolean stillAdmits(HttpServletRequest request) {
        return byToken(request).or(() -> byCookie(request)).isPresent();
    }

    Optional<Caller> byToken(HttpServletRequest request) {
        return sent(request)
                .flatMap(sent -> token.matches(sent)
                        ? Optional.of(ApiToken.CALLER)
                        : named.withHash(ApiToken.hash(sent)).map(Access::caller));
    }

    /** Whether a request has a token that is not valid. What a proxy sends there for itself, such as a password, is no token. */
    boolean isWrong(HttpServletRequest request) {
        return sent(request).isPresent() && byToken(request).isEmpty();
    }

    /** The cookie for somebody who has signed in with a token. */
    ResponseCookie cookie(HttpServletRequest request, Caller caller, SessionCookie.Place place) {
        return cookie.issue(caller.name(), ApiToken.hash(sent(request).orElseThrow()), place);
    }

    private static Optional<String> sent(HttpServletRequest request) {
        return ApiToken.in(request.getHeader(HttpHeaders.AUTHORIZATION));
    }

    private Optional<Caller> byCookie(HttpServletRequest request) {
        if (!READING.contains(request.getMethod()) && request.getHeader(MARK) == null) {
            return Optional.empty();
        }
        return SessionCookie.in(request).stream()
                .flatMap(value -> SessionCookie.tokenOf(value).flatMap(name -> byCookie(value, name)).stream())
                .findFirst();
    }

    private Optional<Caller> byCookie(String value, String name) {
        if (name.equals(ApiToken.CALLER.name())) {
            return cookie.isValid(value, ApiToken.hash(token.value()))
                    ? Optional.of(ApiToken.CALLER)
                    : Optional.empty();
        }
        return named.named(name)
                .filter(known -> cookie.isValid(value, known.hash()))
                .map(Access::caller);
    }

    private static Caller caller(AccessDb.ValidToken known) {
        return new Caller(known.name(), Role.of(known.role()));
    }
}
