package dev.countersink.client;

import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import tools.jackson.databind.JsonNode;

/** Prints rows of JSON objects as a table. */
final class Table {
    private static final String GAP = "  ";
    private static final int WIDEST = 80;

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

    /** A value for people. Control characters of data do nothing to their terminal. */
    static String text(JsonNode value) {
        if (value.isMissingNode() || value.isNull()) {
            return "–";
        }
        String text = value.isValueNode() ? value.asString() : value.toString();
        return text.replaceAll("\\p{Cntrl}", " ");
    }

    private static String cut(String text) {
        return text.length() <= WIDEST ? text : text.substring(0, WIDEST - 1) + "…";
    }
}
