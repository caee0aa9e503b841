package dev.countersink.cli;

import dev.countersink.db.EngineScript;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code countersink sql}: prints the engine, for databases to which the program does not connect. */
@Command(
        name = "sql",
        description = "Prints the whole engine as one file of SQL: countersink sql | psql -v ON_ERROR_STOP=1 DATABASE")
final class SqlCommand implements Callable<Integer> {
    @Option(names = "--upgrade", description = "what brings an installed engine to this version")
    private boolean upgrade;

    @Override
    public Integer call() {
        System.out.print(upgrade ? EngineScript.upgrade() : EngineScript.install());
        System.out.flush();
        return 0;
    }
}
