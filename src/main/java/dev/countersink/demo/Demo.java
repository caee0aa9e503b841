package dev.countersink.demo;

import dev.countersink.Countersink;
import dev.countersink.ProgramEnd;
import dev.countersink.config.StartupException;
import dev.countersink.embedded.Servers;
import dev.countersink.ingest.IngestMetrics;
import dev.countersink.ingest.IngestSnapshot;
import dev.countersink.ingest.nats.NatsLink;
import io.nats.client.Connection;
import java.io.IOException;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import javax.sql.DataSource;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.core.io.ClassPathResource;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.util.FileSystemUtils;

/** {@code demo}: sends generated results through NATS into PostgreSQL, on embedded servers with separate data. */
final class Demo {
    private static final int DISAGREE = 1;
    private static final long LOOK_NANOS = TimeUnit.MILLISECONDS.toNanos(500);

    private final DemoOptions options;
    private final ConfigurableApplicationContext instance;
    private final JdbcClient jdbc;

    private Demo(DemoOptions options, ConfigurableApplicationContext instance) {
        this.options = options;
        this.instance = instance;
        this.jdbc = JdbcClient.create(instance.getBean(DataSource.class));
    }

    /** Runs the demo. Returns 0 if stored, live and oracle counts agree at its end; then it may continue to serve. */
    static int execute(DemoOptions options) {
        try {
            Path dir = Files.createTempDirectory("countersink-demo");
            // Runs at Ctrl-C too, after the servers have stopped.
            ProgramEnd.afterwards(() -> FileSystemUtils.deleteRecursively(dir.toFile()));
            int port = freePort();
            ConfigurableApplicationContext instance = Countersink.start(Map.of(
                    "countersink.embedded.dir",
                    dir.toString(),
                    "countersink.db.url",
                    "",
                    "countersink.nats.url",
                    "",
                    "countersink.http.port",
                    String.valueOf(port)));
            int status = new Demo(options, instance).run();
            if (options.exit() || status != 0) {
                instance.close();
                FileSystemUtils.deleteRecursively(dir);
            } else {
                System.out.printf(Locale.ROOT, "Serving on http://127.0.0.1:%d until Ctrl-C.%n", port);
            }
            return status;
        } catch (IOException e) {
            throw new StartupException(
                    String.format(Locale.ROOT, "The demo has no folder or port of its own: %s.", e.getMessage()),
                    "See that the folder for temporary files can be written to.",
                    e);
        }
    }

    private int run() throws IOException {
        jdbc.sql(new ClassPathResource("demo/demo.sql").getContentAsString(StandardCharsets.UTF_8))
                .update();
        jdbc.sql("SELECT demo.seed(?, ?)")
                .params(options.captures(), options.jobs())
                .query()
                .singleRow();
        Connection nats = NatsLink.connect(instance.getBean(Servers.class).nats());
        try {
            DemoMessages messages = new DemoMessages(options, nats);
            Thread publisher = new Thread(messages, "demo-publisher");
            publisher.start();
            watch(messages);
        } finally {
            close(nats);
        }
        return report();
    }

    /** Shows the progress until every message is committed and every count is stored. */
    private void watch(DemoMessages messages) {
        IngestMetrics metrics = instance.getBean(IngestMetrics.class);
        ProgressLine line = new ProgressLine(options.captures());
        while (true) {
            Map<String, Object> stored = jdbc.sql("SELECT done, pending, lag FROM demo.progress()")
                    .query()
                    .singleRow();
            IngestSnapshot ingest = metrics.snapshot();
            long pending = number(stored, "pending").longValue();
            boolean over = messages.all() && ingest.messages() >= messages.published() && pending == 0;
            line.show(
                    number(stored, "done").longValue(),
                    ingest,
                    pending,
                    number(stored, "lag").doubleValue(),
                    over);
            if (over) {
                return;
            }
            LockSupport.parkNanos(LOOK_NANOS);
        }
    }

    private static Number number(Map<String, Object> row, String column) {
        return (Number) Objects.requireNonNull(row.get(column), column);
    }

    private int report() {
        jdbc.sql("SELECT line FROM demo.report() AS line")
                .query(String.class)
                .list()
                .forEach(System.out::println);
        Map<String, Object> result = jdbc.sql("SELECT compared, different FROM demo.compare()")
                .query()
                .singleRow();
        long different = number(result, "different").longValue();
        long compared = number(result, "compared").longValue();
        if (different == 0) {
            System.out.printf(Locale.ROOT, "Stored, live and oracle agree: %,d rows compared.%n", compared);
            return 0;
        }
        System.out.printf(
                Locale.ROOT, "Stored, live and oracle DISAGREE: %,d rows compared, %,d differ.%n", compared, different);
        return DISAGREE;
    }

    private static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0)) {
            return socket.getLocalPort();
        }
    }

    private static void close(Connection nats) {
        try {
            nats.close();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
