package dev.countersink.bench.engine;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import org.springframework.util.FileSystemUtils;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** The command {@code bench engine} and its options. */
@Command(name = "engine", description = "What the engine itself costs, by scenario.")
public final class EngineCommand implements Callable<Integer> {
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

    @Option(names = "--write", description = "keep figures and plots in bench/README.md")
    private boolean write;

    @Option(
            names = "--server",
            paramLabel = "URL",
            description = "an empty database to run in; without one it has a server of its own")
    private String server;

    @Override
    public Integer call() throws Exception {
        Options options = options();
        Path dir = Files.createTempDirectory("countersink-bench");
        try {
            EngineBench.execute(options, dir);
        } finally {
            FileSystemUtils.deleteRecursively(dir);
        }
        return 0;
    }

    Options options() {
        List<String> scenarios = new Names();
        for (String name : names) {
            require(
                    scenarios.contains(name),
                    "There is no scenario '%s': use any of %s.",
                    name,
                    String.join(", ", scenarios));
        }
        require(scale > 0 && scale <= 1, "--scale takes a share from 0 to 1, not '%s'.", scale);
        require(!write || scale == 1, "--write keeps figures of the full size only: leave --scale out.");
        return new Options(new TreeSet<>(names), scale, write, server);
    }

    private void require(boolean holds, String otherwise, Object... values) {
        if (!holds) {
            throw new ParameterException(spec.commandLine(), String.format(Locale.ROOT, otherwise, values));
        }
    }

    /** The names of all scenarios. */
    static final class Names extends ArrayList<String> {
        private static final long serialVersionUID = 1L;

        Names() {
            super(EngineBench.SCENARIOS.stream().map(Scenario::name).toList());
        }
    }
}
