package dev.countersink.admin;

import jakarta.servlet.http.HttpServletResponse;
import org.springframework.http.HttpHeaders;

/** Headers that keep a browser from misusing an answer. Spring Security sets them; here are those of what it never sees. */
final class SecurityHeaders {
    /** What the dashboard may load: its own files. */
    static final String OF_PAGES = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
            + " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    private static final String OF_PROBLEMS = "default-src 'none'; frame-ancestors 'none'";

    private SecurityHeaders() {}

    /** Sets those of a problem document. */
    static void set(HttpServletResponse response) {
        response.setHeader("Content-Security-Policy", OF_PROBLEMS);
        response.setHeader("X-Content-Type-Options", "nosniff");
        response.setHeader("X-Frame-Options", "DENY");
        response.setHeader("Referrer-Policy", "no-referrer");
        response.setHeader(HttpHeaders.CACHE_CONTROL, "no-store");
    }
}
