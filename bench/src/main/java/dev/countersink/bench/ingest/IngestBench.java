package dev.countersink.bench.ingest;

import dev.countersink.bench.engine.Figure;
import dev.countersink.config.DbSettings;
import dev.countersink.config.NatsSettings;
import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/** {@code bench ingest}: messages from a real NATS server into a real database, a scenario a question. */
final class IngestBench {
    static final List<Scenario> SCENARIOS =
            List.of(new Backlog(), new Steady(), new Fair(), new ManyJobs(), new LargeMessages(), new Restart());

    private IngestBench() {}

    /**
     * Runs what is asked for in an empty database; each scenario's figures, by name.
     *
     * @param dir for files of the bench
     */
    static Map<String, List<Figure>> run(
            Set<String> names, double scale, DbSettings db, NatsSettings nats, Path dir, PrintStream out)
            throws Exception {
        List<Scenario> wanted =
                SCENARIOS.stream().filter(s -> names.contains(s.name())).toList();
        Map<String, List<Figure>> found = new LinkedHashMap<>();
        try (Lab lab = new Lab(nats, scale, dir, out)) {
            int captures = wanted.stream().mapToInt(s -> s.captures(lab)).max().orElseThrow();
            lab.seed(db, captures);
            out.printf(
                    Locale.ROOT,
                    "%s; PostgreSQL %s; %d cores, JDK %s; load average at start %.1f%s%n",
                    LocalDate.now(ZoneOffset.UTC),
                    lab.text("SHOW server_version"),
                    Runtime.getRuntime().availableProcessors(),
                    Runtime.version().feature(),
                    ManagementFactory.getOperatingSystemMXBean().getSystemLoadAverage(),
                    scale == 1 ? "" : "; this is --scale " + scale);
            for (Scenario scenario : wanted) {
                out.printf(Locale.ROOT, "%n%s: %s%n", scenario.name(), scenario.does());
                long start = System.nanoTime();
                List<Figure> figures = scenario.run(lab);
                found.put(scenario.name(), figures);
                out.printf(Locale.ROOT, "%n%s", Figure.HEAD);
                figures.forEach(figure -> out.print(figure.row()));
                out.printf(Locale.ROOT, "(%.1f minutes)%n", (System.nanoTime() - start) / 6e10);
            }
        }
        return found;
    }
}
