package dev.countersink.explain;

import dev.countersink.db.Explained;
import java.io.PrintStream;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** Prints a table for each key; below it the reason and the SQL for each source; at the end the SQL to keep the view. */
final class ExplainTable {
    private static final List<String> HEADER =
            List.of("source", "columns", "reach", "keys per row", "index", "declared");
    private static final String GAP = "  ";

    private ExplainTable() {}

    static void print(List<Explained> rows, List<String> statements, PrintStream out) {
        for (String key : rows.stream().map(Explained::key).distinct().toList()) {
            List<Explained> ofKey =
                    rows.stream().filter(row -> row.key().equals(key)).toList();
            out.println("Key (" + key + ")");
            out.println();
            printTable(ofKey, out);
            out.println();
            ofKey.forEach(row -> printSource(row, out));
        }
        if (statements.isEmpty()) {
            out.println("-- It is kept so already; nothing is missing.");
        } else {
            out.println("-- To keep it so:");
            statements.forEach(out::println);
        }
    }

    private static void printSource(Explained row, PrintStream out) {
        out.println("-- " + row.reason());
        out.println(row.expand() + ";");
        out.println();
    }

    private static void printTable(List<Explained> rows, PrintStream out) {
        List<List<String>> cells = rows.stream().map(ExplainTable::cells).toList();
        boolean declared = rows.stream().anyMatch(row -> row.declared() != null);
        int columns = HEADER.size() - (declared ? 0 : 1);
        int[] widths = IntStream.range(0, columns)
                .map(column -> Math.max(
                        HEADER.get(column).length(),
                        cells.stream()
                                .mapToInt(row -> row.get(column).length())
                                .max()
                                .orElse(0)))
                .toArray();
        out.println(line(HEADER, widths));
        out.println(line(Arrays.stream(widths).mapToObj("-"::repeat).toList(), widths));
        cells.forEach(row -> out.println(line(row, widths)));
    }

    private static List<String> cells(Explained row) {
        return List.of(
                row.source(),
                row.columns(),
                row.reach(),
                Objects.toString(row.keysPerRow(), "?"),
                row.index() == null
                        ? ""
                        : row.index()
                                .replaceAll("CREATE INDEX[^\n]*", "missing")
                                .replace('\n', ' '),
                row.declared() == null ? "" : row.declared().lines().findFirst().orElse(""));
    }

    private static String line(List<String> cells, int[] widths) {
        return IntStream.range(0, widths.length)
                .mapToObj(
                        i -> cells.get(i) + " ".repeat(widths[i] - cells.get(i).length()))
                .collect(Collectors.joining(GAP))
                .stripTrailing();
    }
}
