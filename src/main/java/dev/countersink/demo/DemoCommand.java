package dev.countersink.demo;

import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code demo}: reads its options. */
@Command(
        name = "demo",
        description =
                "Generated results through NATS into PostgreSQL, on servers of its own; counts are exact all along.")
public final class DemoCommand implements Callable<Integer> {
    private static final int MOST_CAPTURES = 1_000_000;
    private static final int MOST_JOBS = 1000;

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it before call()
    private CommandSpec spec;

    @Option(
            names = "--captures",
            paramLabel = "N",
            defaultValue = "3000",
            description = "images in all (${DEFAULT-VALUE})")
    private int captures;

    @Option(
            names = "--jobs",
            paramLabel = "J",
            defaultValue = "3",
            description = "jobs that share them (${DEFAULT-VALUE})")
    private int jobs;

    @Option(names = "--exit", description = "end when all is done")
    private boolean exit;

    @Override
    public Integer call() {
        check("--captures", captures, MOST_CAPTURES);
        check("--jobs", jobs, MOST_JOBS);
        return Demo.execute(new DemoOptions(Math.max(captures, jobs), jobs, exit));
    }

    private void check(String option, int number, int most) {
        if (number < 1 || number > most) {
            throw new ParameterException(
                    spec.commandLine(),
                    String.format(Locale.ROOT, "%s takes a number from 1 to %,d, not '%d'.", option, most, number));
        }
    }
}
