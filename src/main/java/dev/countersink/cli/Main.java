package dev.countersink.cli;

import dev.countersink.ProgramEnd;

/** The entry point of the program. */
public final class Main {
    private Main() {}

    public static void main(String[] args) {
        ProgramEnd.install();
        int status = ProgramEnd.status(Commands.execute(args));
        if (status != 0) {
            System.exit(status);
        }
    }
}
