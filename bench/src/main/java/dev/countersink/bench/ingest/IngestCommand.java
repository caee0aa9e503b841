package dev.countersink.bench.ingest;

import dev.countersink.config.DbSettings;
import dev.countersink.config.EmbeddedSettings;
import dev.countersink.config.NatsSettings;
import dev.countersink.embedded.Servers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.Callable;
import org.springframework.util.FileSystemUtils;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code bench ingest}: reads its options. */
@Command(name = "ingest", description = "How fast messages are taken in, by scenario.")
public final class IngestCommand implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Parameters(
            paramLabel = "SCENARIO",
            arity = "0..*",
            completionCandidates = Names.class,
            description = "any of ${COMPLETION-CANDIDATES}; all without one")
    private List<String> names = List.of();

    @Option(names = "--scale", paramLabel = "F", defaultValue = "1", description = "share of the full size, at most 1")
    private double scale;

    @Option(
            names = "--server",
            paramLabel = "URL",
            description = "an empty database to run in; without one it has a server of its own")
    private String server;

    @Option(names = "--user", paramLabel = "U", description = "of that server, if the URL names none")
    private String user;

    @Override
    public Integer call() throws Exception {
        Set<String> wanted = wanted();
        Path dir = Files.createTempDirectory("countersink-bench");
        try (Servers servers = new Servers(
                new DbSettings(server, user, null, DbSettings.DEFAULT_POOL_SIZE),
                new NatsSettings(null, null, null, null, null, false, null, null),
                new EmbeddedSettings(dir))) {
            IngestBench.run(wanted, scale, servers.db(), servers.nats(), dir, System.out);
        } finally {
            FileSystemUtils.deleteRecursively(dir);
        }
        return 0;
    }

    private Set<String> wanted() {
        List<String> scenarios = new Names();
        for (String name : names) {
            require(
                    scenarios.contains(name),
                    "There is no scenario '%s': use any of %s.",
                    name,
                    String.join(", ", scenarios));
        }
        require(scale > 0 && scale <= 1, "--scale takes a share from 0 to 1, not '%s'.", scale);
        return new LinkedHashSet<>(names.isEmpty() ? scenarios : names);
    }

    private void require(boolean holds, String otherwise, Object... values) {
        if (!holds) {
            throw new ParameterException(spec.commandLine(), String.format(Locale.ROOT, otherwise, values));
        }
    }

    /** Of all scenarios. */
    static final class Names extends ArrayList<String> {
        private static final long serialVersionUID = 1L;

        Names() {
            super(IngestBench.SCENARIOS.stream().map(Scenario::name).toList());
        }
    }
}
