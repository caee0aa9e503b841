package dev.countersink.bench;

import dev.countersink.bench.api.ApiCommand;
import dev.countersink.bench.engine.EngineCommand;
import dev.countersink.bench.ingest.IngestCommand;
import dev.countersink.cli.Commands;
import dev.countersink.config.DbSettings;
import dev.countersink.config.EmbeddedSettings;
import dev.countersink.config.NatsSettings;
import dev.countersink.embedded.Servers;
import java.nio.file.Files;
import java.nio.file.Path;
import org.springframework.util.FileSystemUtils;
import picocli.CommandLine.Command;
import picocli.CommandLine.ScopeType;

/** {@code bench NAME}: measurements on embedded servers of their own, each a ratio of two things done in one run. */
@Command(
        name = "countersink bench",
        description = "Measurements on servers of their own, each a ratio of two things done in one run.",
        subcommands = {ApiCommand.class, EngineCommand.class, IngestCommand.class},
        scope = ScopeType.INHERIT,
        mixinStandardHelpOptions = true,
        versionProvider = Commands.Version.class)
public final class Bench {
    private Bench() {}

    public static void main(String[] args) {
        System.exit(Commands.execute(new Bench(), args));
    }

    @Command(name = "write-overhead", description = "What triggers cost those who write results.")
    int writeOverhead() throws Exception {
        return withServers((servers, dir) -> new WriteOverheadBench(servers).run());
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
