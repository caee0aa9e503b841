package dev.countersink.client;

import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import tools.jackson.databind.JsonNode;

/** Prints rows of JSON objects as a table. */
final class Table {
    private static final String GAP = "  ";
    private static final int WIDEST = 80;
    private static final Pattern UNSEEN = Pattern.compile("[\\p{Cc}\\u2028-\\u202E\\u2066-\\u2069]");

    private Table() {}

    /** @param columns names of fields */
    static void print(JsonNode rows, List<String> columns, PrintWriter out) {
        List<List<String>> lines = new ArrayList<>();
        lines.add(columns.stream()
                .map(name -> name.toUpperCase(Locale.ROOT).replace('_', ' '))
                .toList());
        for (JsonNode row : rows) {
            lines.add(columns.stream().map(name -> cut(text(row.path(name)))).toList());
        }
        int[] widths = IntStream.range(0, columns.size())
                .map(column -> lines.stream()
                        .mapToInt(line -> line.get(column).length())
                        .max()
                        .orElse(0))
                .toArray();
        lines.forEach(line -> out.println(IntStream.range(0, widths.length)
                .mapToObj(i -> line.get(i) + " ".repeat(widths[i] - line.get(i).length()))
                .collect(Collectors.joining(GAP))
                .stripTrailing()));
    }

    /** A value for people. Control characters of data, and those that turn the direction of text, do nothing to their terminal. */
    static String text(JsonNode value) {
        if (value.isMissingNode() || value.isNull()) {
            return "–";
        }
        String text = value.isValueNode() ? value.asString() : value.toString();
        return UNSEEN.matcher(text).replaceAll(" ");
    }

    private static String cut(String text) {
        if (text.length() <= WIDEST) {
            return text;
        }
        int end = Character.isHighSurrogate(text.charAt(WIDEST - 2)) ? WIDEST - 2 : WIDEST - 1;
        return text.substring(0, end) + "…";
    }
}
