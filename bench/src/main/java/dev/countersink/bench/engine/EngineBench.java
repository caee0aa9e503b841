package dev.countersink.bench.engine;

import com.sun.management.OperatingSystemMXBean;
import dev.countersink.config.DbSettings;
import dev.countersink.db.Database;
import dev.countersink.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.sql.SQLException;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** {@code bench engine}: the cost of the engine. Each scenario answers one question with ratios of two times of one run. */
final class EngineBench {
    private static final Path README = Path.of("bench", "README.md");

    /** In the order of their figures. The shop of 20 million sales, made by backfill, serves merge-cost too. */
    static final List<Scenario> SCENARIOS = List.of(
            new TriggerCost(),
            new HeldXmin(),
            new WideChange(),
            new RefreshCost(),
            new Choice(),
            new TargetLag(),
            new LateDevice(),
            new LiveRead(),
            new Backfill(),
            new MergeCost(),
            new PgIvm());

    private static final String SETTINGS =
            "shared_buffers max_wal_size checkpoint_timeout work_mem fsync synchronous_commit full_page_writes autovacuum jit";

    private EngineBench() {}

    /**
     * Runs the scenarios of the options.
     *
     * @param dir for the embedded server
     */
    static void execute(Options options, Path dir) throws Exception {
        if (options.server() != null) {
            run(options, new DbSettings(options.server(), null, null, 8), System.out);
            return;
        }
        long quarter = system().getTotalMemorySize() / 4 >> 20;
        Map<String, String> settings = Map.of(
                "fsync",
                "on",
                "synchronous_commit",
                "on",
                "max_wal_size",
                "16GB",
                "shared_buffers",
                Math.min(quarter, 6144) + "MB");
        try (EmbeddedPostgres server = EmbeddedPostgres.start(dir.resolve("postgres"), settings)) {
            run(options, server.settings(), System.out);
        }
    }

    /** Runs the scenarios of the options in an empty database; returns the figures of each, by name. */
    static Map<String, Outcome> run(Options options, DbSettings db, PrintStream out) throws Exception {
        double load = system().getSystemLoadAverage();
        List<Scenario> wanted = SCENARIOS.stream().filter(options::wants).toList();
        Database.open(db).close();
        Lab lab = new Lab(db, options.scale(), out);
        Report report = new Report(options, conditions(lab, load));
        out.println(report.conditions());
        out.printf(
                Locale.ROOT,
                "%d scenarios, some %d minutes at full scale%s.%n",
                wanted.size(),
                wanted.stream().mapToInt(Scenario::minutes).sum(),
                options.scale() == 1 ? "" : "; this is --scale " + options.scale() + ", whose figures say little");
        Map<String, Outcome> outcomes = new LinkedHashMap<>();
        for (Scenario scenario : wanted) {
            out.printf(Locale.ROOT, "%n%s: %s%n", scenario.name(), scenario.does());
            long start = System.nanoTime();
            Outcome outcome = scenario.run(lab);
            outcomes.put(scenario.name(), outcome);
            outcome.figures().forEach(figure -> out.print(figure.row()));
            out.printf(Locale.ROOT, "(%.1f minutes)%n", (System.nanoTime() - start) / 6e10);
            if (options.write()) {
                report.write(README, scenario, outcome);
            }
        }
        out.printf(Locale.ROOT, "%n%s%n", report.table(wanted, outcomes));
        return outcomes;
    }

    /** The machine and the server that were measured. */
    private static String conditions(Lab lab, double load) throws SQLException, IOException {
        try (InputStream in = EngineBench.class.getClassLoader().getResourceAsStream("bench/engine.sql");
                Session session = lab.session()) {
            session.run(new String(in.readAllBytes(), StandardCharsets.UTF_8));
            String settings = session.text(
                    "SELECT string_agg(name || ' ' || current_setting(name), ', ' ORDER BY n) FROM unnest(string_to_array('"
                            + SETTINGS + "', ' ')) WITH ORDINALITY s(name, n)");
            return String.format(
                    Locale.ROOT,
                    "%s; PostgreSQL %s; %d cores, %d GiB, %s %s, JDK %s; load average at start %.1f; %s",
                    LocalDate.now(ZoneOffset.UTC),
                    session.text("SHOW server_version"),
                    system().getAvailableProcessors(),
                    Math.round(system().getTotalMemorySize() / Math.pow(2, 30)),
                    System.getProperty("os.name"),
                    System.getProperty("os.arch"),
                    Runtime.version().feature(),
                    load,
                    settings);
        }
    }

    private static OperatingSystemMXBean system() {
        return (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    }
}
