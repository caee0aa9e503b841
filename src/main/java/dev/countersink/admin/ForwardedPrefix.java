package dev.countersink.admin;

import jakarta.servlet.http.HttpServletRequest;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.springframework.web.context.request.RequestAttributes;
import org.springframework.web.context.request.RequestContextHolder;
import org.springframework.web.context.request.ServletRequestAttributes;

/** The path under which a proxy serves this instance, as its X-Forwarded-Prefix says. It stands before every path in an answer. */
final class ForwardedPrefix {
    private static final String HEADER = "X-Forwarded-Prefix";
    private static final Pattern PATH = Pattern.compile("(/[A-Za-z0-9._~-]{1,100}){1,10}/?");

    private ForwardedPrefix() {}

    /** It has no slash at its end; what is no path, such as the address of another host, counts as none. */
    static String of(HttpServletRequest request) {
        @Nullable String prefix = request.getHeader(HEADER);
        if (prefix == null || !PATH.matcher(prefix).matches()) {
            return "";
        }
        return prefix.endsWith("/") ? prefix.substring(0, prefix.length() - 1) : prefix;
    }

    /** A path as whoever sent the present request reaches it. */
    static String path(String path) {
        @Nullable RequestAttributes present = RequestContextHolder.getRequestAttributes();
        return present instanceof ServletRequestAttributes servlet ? of(servlet.getRequest()) + path : path;
    }
}
