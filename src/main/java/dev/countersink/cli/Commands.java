package dev.countersink.cli;

import dev.countersink.Countersink;
import dev.countersink.ProgramEnd;
import dev.countersink.client.ClientCommands;
import dev.countersink.client.ClientException;
import dev.countersink.demo.DemoCommand;
import dev.countersink.explain.ExplainCommand;
import java.io.PrintWriter;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.AutoComplete;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/** The commands of the program, by the first word of its command line. Without one it runs the service. */
@Command(
        name = "countersink",
        description = "Keeps derived data fresh in PostgreSQL and ingests results from NATS JetStream.",
        subcommands = {
            Commands.Run.class,
            DemoCommand.class,
            ExplainCommand.class,
            SqlCommand.class,
            ClientCommands.Status.class,
            ClientCommands.Views.class,
            ClientCommands.View.class,
            ClientCommands.Refresh.class,
            ClientCommands.Verify.class,
            ClientCommands.RunsOf.class,
            ClientCommands.Jobs.class,
            ClientCommands.DeadLetters.class,
            ClientCommands.Replay.class,
            ClientCommands.Tokens.class,
            Commands.Completion.class
        },
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
        return line(command).execute(args);
    }

    static CommandLine line(Object command) {
        return new CommandLine(command)
                .setParameterExceptionHandler((e, words) -> refuse(e))
                .setExecutionExceptionHandler((e, line, result) -> report(e, line));
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

    private static int report(Exception e, CommandLine line) {
        if (e instanceof ClientException refusal) {
            line.getErr().println(refusal.getMessage());
            if (refusal.hint() != null) {
                line.getErr().println(refusal.hint());
            }
            return refusal.status();
        }
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

    /** What bash completes after the name of the program. */
    @Command(
            name = "completion",
            description = "Prints what makes bash complete commands and options: source <(./countersink completion).")
    static final class Completion implements Callable<Integer> {
        @Spec
        @SuppressWarnings("NullAway.Init") // picocli sets it before call()
        private CommandSpec spec;

        @Override
        public Integer call() {
            CommandLine program = spec.root().commandLine();
            spec.commandLine().getOut().print(AutoComplete.bash(program.getCommandName(), program));
            spec.commandLine().getOut().flush();
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
