package dev.countersink.admin;

import jakarta.servlet.http.HttpServletRequest;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
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
@RequestMapping(SessionController.PATH)
class SessionController {
    static final String PATH = "/api/session";

    private final Access access;

    SessionController(Access access) {
        this.access = access;
    }

    /** Who the caller is, and whether he may call the rest. Anybody may ask. */
    @GetMapping
    Map<String, Object> session(HttpServletRequest request) {
        return describe(access.caller(request));
    }

    /** Not in the audit log before, so that one can sign in while the database is away. */
    @PostMapping
    @Needs(value = Role.READER, auditedFirst = false)
    ResponseEntity<Map<String, Object>> signIn(HttpServletRequest request) {
        Optional<Caller> caller = access.byToken(request);
        if (caller.isEmpty()) {
            throw RefusedException.noToken();
        }
        return with(access.cookie(request, caller.get(), place(request))).body(describe(caller));
    }

    @DeleteMapping
    @Needs(value = Role.READER, auditedFirst = false)
    ResponseEntity<Void> signOut(HttpServletRequest request) {
        return with(SessionCookie.end(place(request))).build();
    }

    /** Whether a request, before it gets here, is one to sign in. */
    static boolean isSignIn(HttpServletRequest request) {
        return "POST".equals(request.getMethod()) && request.getRequestURI().equals(request.getContextPath() + PATH);
    }

    private static Map<String, Object> describe(Optional<Caller> caller) {
        Map<String, Object> description = new LinkedHashMap<>();
        description.put("signed_in", caller.isPresent());
        caller.ifPresent(found -> {
            description.put("name", found.name());
            description.put("role", found.role().toString());
        });
        return description;
    }

    private static ResponseEntity.BodyBuilder with(ResponseCookie set) {
        return ResponseEntity.ok().header(HttpHeaders.SET_COOKIE, set.toString());
    }

    private static SessionCookie.Place place(HttpServletRequest request) {
        return new SessionCookie.Place(ForwardedPrefix.of(request), isSecure(request));
    }

    /** Whether the browser speaks TLS, with us or with a proxy before us; of several proxies the first is the one that it speaks with. */
    private static boolean isSecure(HttpServletRequest request) {
        @Nullable String forwarded = request.getHeader("X-Forwarded-Proto");
        return request.isSecure() || forwarded != null && "https".equalsIgnoreCase(forwarded.split(",", 2)[0].strip());
    }
}
