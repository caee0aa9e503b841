package dev.countersink.bench.api;

import dev.countersink.Countersink;
import dev.countersink.bench.engine.Figure;
import dev.countersink.config.DbSettings;
import dev.countersink.config.NatsSettings;
import dev.countersink.db.Database;
import dev.countersink.monitor.HourOfSamples;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.math.BigDecimal;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.springframework.context.ConfigurableApplicationContext;

/** {@code bench api}: an instance with many views at which nothing happens, and pages of its API. */
final class ApiBench implements AutoCloseable {
    private static final String TOKEN = "a-token-for-the-bench";
    private static final int SETTLE_SECONDS = 15;
    private static final int CHANGES = 20;
    private static final int CALLS = 40;
    private static final int WARM_UP = 10;
    /** Of each page of the dashboard, or fewer if little time is given. */
    private static final int LOADS = 20;

    /** More than the second for which the state of the views is kept. */
    private static final int REFRESHED_MILLIS = 1_100;

    private static final long POLL_MILLIS = 5;
    private static final long CLOCK_TICKS_PER_SECOND = 100;

    private final DbSettings db;
    private final NatsSettings nats;
    private final PrintStream out;
    private final int loads;
    private final HttpClient http = HttpClient.newHttpClient();
    private final Connection connection;
    private final Statement statement;
    private final List<Figure> figures = new ArrayList<>();
    private String base = "";

    private ApiBench(DbSettings db, NatsSettings nats, PrintStream out, int loads) throws SQLException {
        this.loads = loads;
        this.db = db;
        this.nats = nats;
        this.out = out;
        Database.open(db).close();
        this.connection = Database.connect(db);
        this.statement = connection.createStatement();
    }

    /** What the server and this program have done so far. */
    private record Counters(
            long statements, long nested, double statementWal, double wal, double serverCpu, double ownCpu) {}

    static List<Figure> run(
            DbSettings db, NatsSettings nats, List<Integer> views, int seconds, int runs, PrintStream out)
            throws Exception {
        try (ApiBench bench = new ApiBench(db, nats, out, Math.min(LOADS, seconds))) {
            bench.prepare();
            for (int count : views) {
                bench.idle(count, seconds);
            }
            bench.pages(runs);
            bench.dashboard(Collections.max(views));
            out.printf(Locale.ROOT, "%n%s", Figure.HEAD);
            bench.figures.forEach(figure -> out.print(figure.row()));
            return bench.figures;
        }
    }

    private void prepare() throws SQLException, IOException {
        try (InputStream in = ApiBench.class.getClassLoader().getResourceAsStream("bench/api.sql")) {
            statement.execute(new String(in.readAllBytes(), StandardCharsets.UTF_8));
        }
        out.printf(
                Locale.ROOT,
                "%s; PostgreSQL %s; %d cores, JDK %s; load average at start %.1f%n",
                LocalDate.now(ZoneOffset.UTC),
                text("current_setting('server_version')"),
                Runtime.getRuntime().availableProcessors(),
                Runtime.version().feature(),
                ManagementFactory.getOperatingSystemMXBean().getSystemLoadAverage());
    }

    private ConfigurableApplicationContext start() {
        Map<String, Object> settings = new HashMap<>();
        settings.put("countersink.http.port", 0);
        settings.put("countersink.http.address", "127.0.0.1");
        settings.put("countersink.api.token", TOKEN);
        settings.put("countersink.db.url", db.url());
        settings.put("countersink.db.user", db.user());
        settings.put("countersink.db.password", db.password());
        settings.put("countersink.nats.url", nats.url());
        settings.put("countersink.nats.token", nats.token());
        settings.values().removeIf(value -> value == null);
        return Countersink.start(settings);
    }

    /** Nothing happens for a while; then single rows are written, and it is awaited that they are merged. */
    private void idle(int views, int seconds) throws Exception {
        say("keeping %d projections …", views);
        number("bench.grow(" + views + ")");
        try (ConfigurableApplicationContext context = start()) {
            base = "http://127.0.0.1:" + context.getEnvironment().getProperty("local.server.port");
            await("bench.pending() = 0");
            // Everything has its plans, statistics are gathered and what was written is in its place.
            statement.execute("VACUUM (ANALYZE)");
            statement.execute("CHECKPOINT");
            TimeUnit.SECONDS.sleep(Math.min(SETTLE_SECONDS, seconds));
            statement.execute("SELECT bench.pg_stat_statements_reset()");
            Counters before = counters();
            long begun = System.nanoTime();
            TimeUnit.SECONDS.sleep(seconds);
            double took = (System.nanoTime() - begun) / 1e9;
            Counters after = counters();
            figures.add(Figure.only(
                    views + " idle projections",
                    String.format(
                            Locale.ROOT,
                            "%.1f statements/s (%.0f/s with those within functions), WAL %.1f KB/min by statements, %.1f KB/min in all,"
                                    + " CPU of the server %.1f %%, of the program %.1f %% of a core",
                            (after.statements() - before.statements()) / took,
                            (after.statements() + after.nested() - before.statements() - before.nested()) / took,
                            (after.statementWal() - before.statementWal()) / took * 60 / 1024,
                            (after.wal() - before.wal()) / took * 60 / 1024,
                            (after.serverCpu() - before.serverCpu()) / took * 100,
                            (after.ownCpu() - before.ownCpu()) / took * 100)));
            say("%s", figures.get(figures.size() - 1).value());
            busiest(took);
            if (views > 2) {
                changes(views);
            }
        }
    }

    private void busiest(double seconds) throws SQLException {
        try (ResultSet row = statement.executeQuery("SELECT * FROM bench.busiest(12)")) {
            while (row.next()) {
                say(
                        "  %6.2f/s %8.2f ms each %8.0f B of WAL  %s",
                        row.getLong("calls") / seconds,
                        row.getDouble("ms") / row.getLong("calls"),
                        row.getDouble("wal"),
                        row.getString("query"));
            }
        }
    }

    private void changes(int views) throws Exception {
        double[] millis = new double[CHANGES];
        Random random = new Random(7);
        for (int i = 0; i < CHANGES; i++) {
            int view = 3 + random.nextInt(views - 2);
            // Not always at the same moment of the interval.
            TimeUnit.MILLISECONDS.sleep(random.nextInt(1000));
            int id = views * CHANGES + i; // not one that the run with fewer views has written
            number(String.format(Locale.ROOT, "bench.change(%d, %d)", view, id));
            long begun = System.nanoTime();
            await(String.format(Locale.ROOT, "bench.is_merged(%d, %d)", view, id));
            millis[i] = (System.nanoTime() - begun) / 1e6;
        }
        Arrays.sort(millis);
        figures.add(Figure.only(
                views + " projections, a row written to one of them, until it is merged",
                String.format(
                        Locale.ROOT,
                        "median %.0f ms, longest of %d: %.0f ms (interval 1 s)",
                        millis[CHANGES / 2],
                        CHANGES,
                        millis[CHANGES - 1])));
        say("%s", figures.get(figures.size() - 1).value());
    }

    /**
     * What the dashboard asks for to show a page, one call after the other, while rows are written to all views. A page is loaded less
     * often than what it shows is kept, so that each load has it read anew.
     */
    private void dashboard(int views) throws Exception {
        String view = "/api/views/bench.double_3";
        Map<String, List<String>> pages = new LinkedHashMap<>();
        pages.put("Now", List.of("/api/now", "/api/transactions", "/api/now/lags", "/api/now/merge-times"));
        pages.put(
                "a view",
                List.of(
                        "/api/now",
                        "/api/runs?view=bench.double_3&limit=10",
                        view + "/history",
                        view,
                        view + "/details",
                        view + "/quarantine",
                        view + "/trust?limit=20"));
        pages.put("a view, how changes reach it, by a click", List.of(view + "/explain"));
        pages.put(
                "Activity",
                List.of(
                        "/api/activity",
                        "/api/transactions",
                        "/api/alerts?state=firing&limit=100",
                        "/api/alerts?state=resolved&limit=20",
                        "/api/audit?limit=20"));
        pages.put(
                "Ingestion",
                List.of("/api/ingest", "/api/jobs?limit=50&after=0", "/api/dead-letters?limit=100&after=0"));
        pages.put("Runs", List.of("/api/runs?limit=50"));
        try (ConfigurableApplicationContext context = start();
                Load load = new Load(db, views)) {
            base = "http://127.0.0.1:" + context.getEnvironment().getProperty("local.server.port");
            say("taking an hour's samples of %d projections …", views);
            HourOfSamples.take(context);
            pages.values().forEach(calls -> calls.forEach(this::get)); // so that all is compiled and has its plans
            double without = busy(() -> TimeUnit.MILLISECONDS.sleep(loads * REFRESHED_MILLIS));
            for (Map.Entry<String, List<String>> page : pages.entrySet()) {
                load(page.getKey(), page.getValue(), without);
            }
            figures.add(Figure.only("rows written a second meanwhile", Figure.number(load.perSecond())));
        }
    }

    private void load(String name, List<String> calls, double without) throws Exception {
        double[] millis = new double[loads];
        long[] bytes = new long[1];
        double share = busy(() -> {
            for (int i = 0; i < loads; i++) {
                long begun = System.nanoTime();
                bytes[0] = calls.stream().mapToLong(this::get).sum();
                millis[i] = (System.nanoTime() - begun) / 1e6;
                TimeUnit.MILLISECONDS.sleep(Math.max(0, REFRESHED_MILLIS - Math.round(millis[i])));
            }
        });
        Arrays.sort(millis);
        figures.add(Figure.only(
                "the dashboard's page " + name,
                String.format(
                        Locale.ROOT,
                        "median %.1f ms, longest of %d: %.1f ms, %.1f KB in %d calls; CPU of server and program %.0f ms a load above that without it",
                        millis[loads / 2],
                        loads,
                        millis[loads - 1],
                        bytes[0] / 1024d,
                        calls.size(),
                        Math.max(0, share - without) * REFRESHED_MILLIS)));
        say("%s: %s", name, figures.get(figures.size() - 1).value());
    }

    /** Something that takes a while. */
    private interface Action {
        void run() throws Exception;
    }

    /** Which share of a core server and program took meanwhile. */
    private double busy(Action action) throws Exception {
        Counters before = counters();
        long begun = System.nanoTime();
        action.run();
        double took = (System.nanoTime() - begun) / 1e9;
        Counters after = counters();
        return (after.serverCpu() - before.serverCpu() + after.ownCpu() - before.ownCpu()) / took;
    }

    private int get(String path) {
        try {
            HttpResponse<String> answer = http.send(
                    HttpRequest.newBuilder(URI.create(base + path))
                            .header("Authorization", "Bearer " + TOKEN)
                            .build(),
                    HttpResponse.BodyHandlers.ofString());
            if (answer.statusCode() != 200) {
                throw new IllegalStateException(path + ": " + answer.statusCode() + " " + answer.body());
            }
            return answer.body().length();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    private void pages(int runs) throws Exception {
        say("storing %,d runs …", runs);
        number("bench.add_runs(" + runs + ")");
        statement.execute("VACUUM (ANALYZE) control.run");
        try (ConfigurableApplicationContext context = start()) {
            base = "http://127.0.0.1:" + context.getEnvironment().getProperty("local.server.port");
            await("bench.pending() = 0");
            for (String path : List.of(
                    "/api/now",
                    "/api/now/lags",
                    "/api/views",
                    "/api/views/bench.double_3",
                    "/api/views/bench.double_3/details",
                    "/api/views/bench.double_3/history",
                    "/api/runs?limit=50",
                    "/api/runs?limit=50&after=51",
                    "/api/runs?limit=50&view=bench.double_3",
                    "/api/runs?limit=50&state=failed",
                    "/api/runs/1",
                    "/")) {
                page(path);
            }
        }
    }

    private void page(String path) {
        double[] millis = new double[CALLS];
        int bytes = 0;
        for (int i = -WARM_UP; i < CALLS; i++) {
            long begun = System.nanoTime();
            bytes = get(path);
            if (i >= 0) {
                millis[i] = (System.nanoTime() - begun) / 1e6;
            }
        }
        Arrays.sort(millis);
        figures.add(Figure.only(
                "GET " + path,
                String.format(
                        Locale.ROOT,
                        "median %.1f ms, longest of %d: %.1f ms, %.1f KB",
                        millis[CALLS / 2],
                        CALLS,
                        millis[CALLS - 1],
                        bytes / 1024d)));
        say("%s: %s", path, figures.get(figures.size() - 1).value());
    }

    private Counters counters() throws Exception {
        double own =
                ProcessHandle.current().info().totalCpuDuration().orElseThrow().toMillis() / 1000d;
        double server = serverCpu();
        try (ResultSet row = statement.executeQuery("SELECT * FROM bench.counters()")) {
            row.next();
            return new Counters(
                    row.getLong("statements"),
                    row.getLong("nested"),
                    row.getBigDecimal("statement_wal").doubleValue(),
                    row.getObject("wal", BigDecimal.class).doubleValue(),
                    server,
                    own);
        }
    }

    /** Seconds of CPU of all processes of the server so far, those that have ended included. */
    private double serverCpu() throws SQLException, IOException {
        long backend = number("pg_backend_pid()");
        long postmaster = parent(backend);
        long ticks = 0;
        for (String pid : processes()) {
            String[] stat = stat(pid);
            if (stat.length > 14) {
                if (Long.parseLong(stat[1]) == postmaster) {
                    ticks += Long.parseLong(stat[11]) + Long.parseLong(stat[12]);
                } else if (pid.equals(Long.toString(postmaster))) {
                    ticks += Long.parseLong(stat[11])
                            + Long.parseLong(stat[12])
                            + Long.parseLong(stat[13])
                            + Long.parseLong(stat[14]);
                }
            }
        }
        return (double) ticks / CLOCK_TICKS_PER_SECOND;
    }

    private static List<String> processes() throws IOException {
        try (var entries = Files.list(Path.of("/proc"))) {
            return entries.map(entry -> entry.getFileName().toString())
                    .filter(name -> name.matches("\\d+"))
                    .toList();
        }
    }

    private static long parent(long pid) throws IOException {
        return Long.parseLong(stat(Long.toString(pid))[1]);
    }

    /** The fields of /proc/PID/stat after the name: state, parent, …; empty if the process has just ended. */
    private static String[] stat(String pid) {
        try {
            String line = Files.readString(Path.of("/proc", pid, "stat"));
            return line.substring(line.lastIndexOf(')') + 2).split(" ");
        } catch (IOException e) {
            return new String[0];
        }
    }

    private void await(String condition) throws SQLException, InterruptedException {
        long end = System.nanoTime() + TimeUnit.MINUTES.toNanos(5);
        while (!"t".equals(text(condition))) {
            if (System.nanoTime() > end) {
                throw new IllegalStateException(condition + " has not become true");
            }
            TimeUnit.MILLISECONDS.sleep(POLL_MILLIS);
        }
    }

    private long number(String function) throws SQLException {
        try (ResultSet row = statement.executeQuery("SELECT " + function)) {
            row.next();
            String text = row.getString(1);
            return text == null || text.isEmpty() ? 0 : Long.parseLong(text);
        }
    }

    private String text(String function) throws SQLException {
        try (ResultSet row = statement.executeQuery("SELECT " + function)) {
            row.next();
            return row.getString(1);
        }
    }

    private void say(String format, Object... arguments) {
        out.printf(Locale.ROOT, format + "%n", arguments);
    }

    @Override
    public void close() throws SQLException {
        statement.close();
        connection.close();
    }
}
