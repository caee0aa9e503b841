package dev.countersink.bench;

import dev.countersink.bench.engine.EngineCommand;
import dev.countersink.cli.Commands;
import dev.countersink.config.DbSettings;
import dev.countersink.config.EmbeddedSettings;
import dev.countersink.config.NatsSettings;
import dev.countersink.embedded.Servers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.springframework.util.FileSystemUtils;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/** {@code bench NAME}: measurements on embedded servers of their own, each a ratio of two things done in one run. */
@Command(
        name = "countersink bench",
        description = "Measurements on servers of their own, each a ratio of two things done in one run.",
        subcommands = EngineCommand.class,
        scope = ScopeType.INHERIT,
        mixinStandardHelpOptions = true,
        versionProvider = Commands.Version.class)
public final class Bench {
    @Spec
    private CommandSpec spec;

    private Bench() {}

    public static void main(String[] args) {
        System.exit(Commands.execute(new Bench(), args));
    }

    @Command(name = "write-overhead", description = "What triggers cost those who write results.")
    int writeOverhead() throws Exception {
        return withServers((servers, dir) -> new WriteOverheadBench(servers).run());
    }

    @Command(name = "ingest", description = "A backlog against COPY of the same rows, then a steady rate.")
    int ingest(
            @Option(
                            names = "--backlog",
                            paramLabel = "N",
                            defaultValue = "20000",
                            description = "messages (${DEFAULT-VALUE})")
                    int backlog,
            @Option(
                            names = "--rate",
                            paramLabel = "N",
                            defaultValue = "300",
                            description = "messages a second (${DEFAULT-VALUE})")
                    int rate,
            @Option(
                            names = "--seconds",
                            paramLabel = "N",
                            defaultValue = "60",
                            description = "for so long (${DEFAULT-VALUE})")
                    int seconds)
            throws Exception {
        for (int number : List.of(backlog, rate, seconds)) {
            if (number < 1) {
                throw new ParameterException(
                        spec.subcommands().get("ingest"), "'bench ingest' takes numbers from 1, not '" + number + "'.");
            }
        }
        return withServers((servers, dir) -> new IngestBench(servers, dir, backlog, rate, seconds).run());
    }

    /** A measurement on servers of its own, which may write to the folder. */
    private interface Measurement {
        void run(Servers servers, Path dir) throws Exception;
    }

    private static int withServers(Measurement measurement) throws Exception {
        Path dir = Files.createTempDirectory("countersink-bench");
        try (Servers servers = new Servers(
                new DbSettings(null, null, null, 8),
                new NatsSettings(null, null, null, null, null, false, null, null),
                new EmbeddedSettings(dir))) {
            measurement.run(servers, dir);
        } finally {
            FileSystemUtils.deleteRecursively(dir);
        }
        return 0;
    }
}
