package dev.countersink;

import dev.countersink.bench.Bench;
import dev.countersink.demo.Demo;
import dev.countersink.explain.ExplainCommand;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/** What the program can be told to do, by the first word of its command line. */
final class Commands {
    private static final String DEFAULT = "run";
    private static final int USAGE = 2;

    private static final Map<String, Command> BY_NAME = new TreeMap<>(Map.of(
            DEFAULT,
            Commands::run,
            "bench",
            Commands::bench,
            "demo",
            Demo::execute,
            "explain",
            ExplainCommand::execute));

    private Commands() {}

    /** A command; it returns the exit status, 0 also if it goes on in other threads. */
    interface Command {
        int execute(List<String> arguments);
    }

    static int execute(String... args) {
        String name = args.length == 0 ? DEFAULT : args[0];
        Command command = BY_NAME.get(name);
        if (command == null) {
            System.err.printf(
                    Locale.ROOT,
                    "There is no command '%s'.%nUse one of: %s.%n",
                    name,
                    String.join(", ", BY_NAME.keySet()));
            return USAGE;
        }
        try {
            return command.execute(Arrays.asList(args).subList(Math.min(1, args.length), args.length));
        } catch (RuntimeException e) {
            if (ProgramEnd.isEnding()) {
                return 0;
            }
            return StartErrors.report(e, System.err);
        }
    }

    private static int bench(List<String> arguments) {
        ProgramEnd.uninstall();
        return Bench.execute(arguments);
    }

    private static int run(List<String> arguments) {
        if (!arguments.isEmpty()) {
            System.err.printf(
                    Locale.ROOT,
                    "'run' takes no arguments, but was given '%s'.%nSettings come from the environment: COUNTERSINK_….%n",
                    String.join(" ", arguments));
            return USAGE;
        }
        Countersink.start(Map.of());
        return 0;
    }
}
