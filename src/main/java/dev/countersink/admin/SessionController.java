package dev.countersink.admin;

import jakarta.servlet.http.HttpServletRequest;
import java.util.Map;
import org.springframework.http.HttpHeaders;
import org.springframework.http.ResponseCookie;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.DeleteMapping;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RestController;

/** Signing in and out on the dashboard. The token is sent in the Authorization header, once, and a cookie is the answer. */
@RestController
@RequestMapping("/api/session")
class SessionController {
    private static final String SIGNED_IN = "signed_in";

    private final Access access;
    private final SessionCookie cookie;

    SessionController(Access access, SessionCookie cookie) {
        this.access = access;
        this.cookie = cookie;
    }

    /** Whether the caller may call the rest. Anybody may ask. */
    @GetMapping
    Map<String, Boolean> session(HttpServletRequest request) {
        return Map.of(SIGNED_IN, access.admits(request));
    }

    @PostMapping
    ResponseEntity<Map<String, Boolean>> signIn(HttpServletRequest request) {
        if (!access.hasToken(request)) {
            throw RefusedException.noToken();
        }
        return with(cookie.issue(isSecure(request))).body(Map.of(SIGNED_IN, true));
    }

    @DeleteMapping
    ResponseEntity<Void> signOut(HttpServletRequest request) {
        return with(cookie.end(isSecure(request))).build();
    }

    private static ResponseEntity.BodyBuilder with(ResponseCookie set) {
        return ResponseEntity.ok().header(HttpHeaders.SET_COOKIE, set.toString());
    }

    /** Whether the browser speaks TLS, with us or with a proxy before us. */
    private static boolean isSecure(HttpServletRequest request) {
        return request.isSecure() || "https".equalsIgnoreCase(request.getHeader("X-Forwarded-Proto"));
    }
}
