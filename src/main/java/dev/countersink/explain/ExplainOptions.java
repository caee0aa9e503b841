package dev.countersink.explain;

import dev.countersink.config.DbSettings;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * What is asked for.
 *
 * @param view its name, as SQL would quote it
 * @param key columns; null for the keys that would do
 * @param db where the view is
 */
record ExplainOptions(String view, List<String> key, DbSettings db) {
    private static final String USAGE =
            "Usage: countersink explain VIEW [--key COLUMN,…] --url postgres://… [--user U] [--password P]";

    static ExplainOptions parse(List<String> arguments, Map<String, String> environment) {
        String view = null;
        List<String> key = null;
        String url = environment.get("COUNTERSINK_DB_URL");
        String user = environment.get("COUNTERSINK_DB_USER");
        String password = environment.get("COUNTERSINK_DB_PASSWORD");
        for (int i = 0; i < arguments.size(); i++) {
            String argument = arguments.get(i);
            switch (argument) {
                case "--key" -> key = List.of(value(arguments, ++i).split(",", -1));
                case "--url" -> url = value(arguments, ++i);
                case "--user" -> user = value(arguments, ++i);
                case "--password" -> password = value(arguments, ++i);
                default -> {
                    if (view != null || argument.startsWith("-")) {
                        throw refused("'explain' does not take '%s'.", argument);
                    }
                    view = argument;
                }
            }
        }
        if (view == null) {
            throw refused("Which view? None is named.");
        }
        if (url == null) {
            throw refused("Where is %s? Neither --url nor COUNTERSINK_DB_URL is given.", view);
        }
        return new ExplainOptions(view, key, DbSettings.of(url, user, password));
    }

    private static String value(List<String> arguments, int i) {
        if (i == arguments.size()) {
            throw refused("%s needs a value.", arguments.get(i - 1));
        }
        return arguments.get(i);
    }

    private static IllegalArgumentException refused(String sentence, Object... values) {
        return new IllegalArgumentException(
                String.format(Locale.ROOT, sentence, values) + System.lineSeparator() + USAGE);
    }
}
