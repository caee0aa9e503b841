package dev.countersink.bench.api;

import dev.countersink.config.DbSettings;
import dev.countersink.config.NatsSettings;
import dev.countersink.embedded.EmbeddedNats;
import dev.countersink.embedded.EmbeddedPostgres;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.springframework.util.FileSystemUtils;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code bench api}: reads its options, and starts the servers. */
@Command(name = "api", description = "What an idle instance costs with many views, and how fast the API answers.")
public final class ApiCommand implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Option(
            names = "--views",
            paramLabel = "N",
            split = ",",
            defaultValue = "2,62,202",
            description = "how many projections, growing; ${DEFAULT-VALUE} without it")
    private List<Integer> views;

    @Option(
            names = "--seconds",
            paramLabel = "N",
            defaultValue = "60",
            description = "for which each number of views is measured; ${DEFAULT-VALUE} without it")
    private int seconds;

    @Option(
            names = "--runs",
            paramLabel = "N",
            defaultValue = "1000000",
            description = "finished runs among which pages are read; ${DEFAULT-VALUE} without it")
    private int runs;

    @Option(
            names = "--server",
            paramLabel = "URL",
            description = "an empty database to run in, of a server that preloads pg_stat_statements with track = all")
    private String server;

    @Override
    public Integer call() throws Exception {
        require(views.stream().allMatch(n -> n >= 2), "--views takes numbers from 2 on: the schema results has two.");
        require(views.stream().anyMatch(n -> n > 2), "--views needs a number from 3 on, for the pages of a view.");
        require(seconds > 0 && runs > 0, "--seconds and --runs take numbers from 1 on.");
        Path dir = Files.createTempDirectory("countersink-bench");
        try (EmbeddedNats nats = EmbeddedNats.start(dir.resolve("nats"))) {
            if (server != null) {
                run(DbSettings.of(server, null, null), nats.settings());
            } else {
                try (EmbeddedPostgres postgres = EmbeddedPostgres.start(
                        dir.resolve("postgres"),
                        Map.of(
                                "fsync", "on",
                                "synchronous_commit", "on",
                                "shared_preload_libraries", "pg_stat_statements",
                                "pg_stat_statements.track", "all"))) {
                    run(postgres.settings(), nats.settings());
                }
            }
        } finally {
            FileSystemUtils.deleteRecursively(dir);
        }
        return 0;
    }

    private void run(DbSettings db, NatsSettings nats) throws Exception {
        ApiBench.run(db, nats, views, seconds, runs, System.out);
    }

    private void require(boolean holds, String otherwise) {
        if (!holds) {
            throw new ParameterException(spec.commandLine(), otherwise);
        }
    }
}
