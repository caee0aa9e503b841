package dev.countersink.admin;

import jakarta.servlet.http.HttpServletRequest;
import java.util.Enumeration;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** From where a request comes. */
final class ClientAddress {
    private static final String FORWARDED_FOR = "X-Forwarded-For";
    private static final Pattern ADDRESS = Pattern.compile("[0-9A-Fa-f:.]{2,45}");

    private final boolean trusted;

    /** @param trusted whether a proxy before this instance sets X-Forwarded-For */
    ClientAddress(boolean trusted) {
        this.trusted = trusted;
    }

    /**
     * Who is connected; behind a trusted proxy whoever is connected with that, which is what it has added at the end: to the header
     * that the client has sent, or as a header of its own, as HAProxy does.
     */
    String of(HttpServletRequest request) {
        @Nullable String forwarded = trusted ? last(request.getHeaders(FORWARDED_FOR)) : null;
        if (forwarded != null) {
            String last = forwarded.substring(forwarded.lastIndexOf(',') + 1).strip();
            if (ADDRESS.matcher(last).matches()) {
                return last;
            }
        }
        return String.valueOf(request.getRemoteAddr());
    }

    private static @Nullable String last(Enumeration<String> values) {
        @Nullable String last = null;
        while (values.hasMoreElements()) {
            last = values.nextElement();
        }
        return last;
    }
}
