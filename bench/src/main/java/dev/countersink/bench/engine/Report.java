package dev.countersink.bench.engine;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Writes figures as Markdown: a part for each scenario, between markers of a file, and plots in a folder beside it. */
final class Report {
    private static final String BEGIN = "<!-- engine -->\n";
    private static final String END = "<!-- /engine -->\n";

    private final Options options;
    private final String conditions;

    Report(Options options, String conditions) {
        this.options = options;
        this.conditions = conditions;
    }

    String conditions() {
        return conditions;
    }

    /** All figures in one table. */
    String table(List<Scenario> scenarios, Map<String, Outcome> outcomes) {
        StringBuilder table = new StringBuilder("`" + options.command() + "`: " + conditions + "\n\n");
        if (options.scale() != 1) {
            table.append(String.format(Locale.ROOT, "**Scaled to %s: not official.**%n%n", options.scale()));
        }
        table.append(Figure.HEAD.replace("| what", "| scenario | what").replaceFirst("\\|---", "|---|---"));
        for (Scenario scenario : scenarios) {
            for (Figure figure : outcomes.get(scenario.name()).figures()) {
                table.append("| ").append(scenario.name()).append(" ").append(figure.row());
            }
        }
        return table.toString();
    }

    /** Replaces a scenario's part of the file, and writes its plots to the folder beside it. */
    void write(Path file, Scenario scenario, Outcome outcome) throws IOException {
        Path plots = Files.createDirectories(file.resolveSibling("plots"));
        StringBuilder part =
                new StringBuilder(String.format(Locale.ROOT, "### %s%n%n%s%n%n", scenario.name(), scenario.does()));
        part.append(Figure.HEAD);
        outcome.figures().forEach(figure -> part.append(figure.row()));
        part.append(String.format(Locale.ROOT, "%n`%s`: %s.%n", options.command(), conditions));
        for (Plot plot : outcome.plots()) {
            Files.writeString(plots.resolve(plot.file()), plot.svg());
            part.append(String.format(Locale.ROOT, "%n![%s](plots/%s)%n", scenario.name(), plot.file()));
        }
        Files.writeString(file, replaced(Files.readString(file), scenario.name(), part.toString()));
    }

    /** The text with this part replaced or added. Other parts stay; the order is that of the scenarios. */
    static String replaced(String text, String name, String part) {
        int begin = text.indexOf(BEGIN);
        int end = text.indexOf(END, begin);
        if (begin < 0 || end < 0) {
            throw new IllegalStateException(String.format(
                    Locale.ROOT,
                    "The file has no place for figures: the markers %s and %s are missing.",
                    BEGIN.strip(),
                    END.strip()));
        }
        String old = text.substring(begin + BEGIN.length(), end);
        StringBuilder parts = new StringBuilder();
        for (Scenario scenario : EngineBench.SCENARIOS) {
            String found = scenario.name().equals(name) ? part : part(old, scenario.name());
            if (found != null) {
                parts.append(String.format(
                        Locale.ROOT, "%n<!-- engine %s -->%n%s<!-- /engine %1$s -->%n", scenario.name(), found));
            }
        }
        return text.substring(0, begin + BEGIN.length()) + parts + "\n" + text.substring(end);
    }

    private static String part(String text, String name) {
        String first = String.format(Locale.ROOT, "<!-- engine %s -->%n", name);
        int begin = text.indexOf(first);
        int end = text.indexOf(String.format(Locale.ROOT, "<!-- /engine %s -->", name), begin);
        return begin < 0 || end < 0 ? null : text.substring(begin + first.length(), end);
    }
}
