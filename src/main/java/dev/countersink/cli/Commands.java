package dev.countersink.cli;

import dev.countersink.Countersink;
import dev.countersink.ProgramEnd;
import dev.countersink.demo.DemoCommand;
import dev.countersink.explain.ExplainCommand;
import java.io.PrintWriter;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;

/** The commands of the program, by the first word of its command line. Without one it runs the service. */
@Command(
        name = "countersink",
        description = "Keeps derived data fresh in PostgreSQL and ingests results from NATS JetStream.",
        subcommands = {Commands.Run.class, DemoCommand.class, ExplainCommand.class},
        scope = ScopeType.INHERIT,
        mixinStandardHelpOptions = true,
        versionProvider = Commands.Version.class)
public final class Commands implements Callable<Integer> {

    /** The exit status; it is 0 also if the program continues in other threads. */
    static int execute(String... args) {
        return execute(new Commands(), args);
    }

    /** Executes the command or one of its subcommands. Refusals and failures are printed in two lines. */
    public static int execute(Object command, String... args) {
        return new CommandLine(command)
                .setParameterExceptionHandler((e, words) -> refuse(e))
                .setExecutionExceptionHandler((e, line, result) -> report(e))
                .execute(args);
    }

    @Override
    public Integer call() {
        return new Run().call();
    }

    private static int refuse(ParameterException e) {
        CommandLine command = e.getCommandLine();
        PrintWriter err = command.getErr();
        err.println(e.getMessage());
        err.println("Use '" + command.getCommandSpec().qualifiedName() + " --help'.");
        return CommandLine.ExitCode.USAGE;
    }

    private static int report(Exception e) {
        return ProgramEnd.isEnding() ? 0 : StartErrors.report(e, System.err);
    }

    /** The service. */
    @Command(
            name = "run",
            description = "The service itself. Settings come from the environment (COUNTERSINK_DB_URL,"
                    + " COUNTERSINK_NATS_URL, …); docs/settings.md has them all.")
    static final class Run implements Callable<Integer> {
        @Override
        public Integer call() {
            Countersink.start(Map.of());
            return 0;
        }
    }

    /** The version that the jar's manifest names. */
    public static final class Version implements IVersionProvider {
        @Override
        public String[] getVersion() {
            return new String[] {
                "countersink "
                        + Optional.ofNullable(Commands.class.getPackage().getImplementationVersion())
                                .orElse("(not from a jar)")
            };
        }
    }
}
