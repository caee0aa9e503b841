package dev.countersink.config;

import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** What may be shown of settings that have secrets in them. */
final class Shown {
    private static final Pattern PLACE = Pattern.compile("([a-z0-9]+://)?([^@]*@)?[^@:/?]*(:\\d*)?(/[^?]*)?");
    private static final Pattern LOGIN = Pattern.compile("(?:^|,|://)\\s*([^,@/:]*):?([^@]*)@");
    private static final int SHORTEST_SECRET = 3;

    private Shown() {}

    /** A URL, or several with commas, without what stands before an @ and after a question mark. */
    static @Nullable String url(@Nullable String url) {
        if (url == null) {
            return null;
        }
        String[] parts = url.split(",");
        boolean each = Arrays.stream(parts)
                .allMatch(part -> PLACE.matcher(part.strip()).matches());
        boolean logins = Arrays.stream(parts).allMatch(part -> part.contains("@"));
        if (each && (logins || !url.contains("@"))) {
            return Arrays.stream(parts).map(Shown::one).collect(Collectors.joining(","));
        }
        return one(url);
    }

    /** From the scheme to the last @ nothing is shown. */
    private static String one(String url) {
        int scheme = url.indexOf("://");
        int begin = scheme < 0 ? 0 : scheme + 3;
        int at = url.lastIndexOf('@');
        String shown = at < begin ? url : url.substring(0, begin) + "…" + url.substring(at);
        return shown.replaceFirst("\\?.*", "");
    }

    /** A message without these secrets, and without those in a URL. */
    static String without(String message, @Nullable String url, @Nullable String... secrets) {
        String text = message;
        if (url != null) {
            text = text.replace(url, String.valueOf(url(url)));
            Matcher login = LOGIN.matcher(url);
            while (login.find()) {
                String word = login.group(2).isEmpty() ? login.group(1) : login.group(2);
                text = without(text, List.of(word));
            }
        }
        return without(text, Arrays.asList(secrets));
    }

    private static String without(String message, List<@Nullable String> secrets) {
        String text = message;
        for (String secret : secrets) {
            if (secret != null && secret.length() >= SHORTEST_SECRET) {
                text = text.replace(secret, "…");
            }
        }
        return text;
    }
}
