package dev.countersink.bench.engine;

import dev.countersink.config.DbSettings;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** PostgreSQL's own load generator, if the machine has it. */
final class Pgbench {
    private static final Path DEBIAN = Path.of("/usr/lib/postgresql");
    private static final Pattern SPEED = Pattern.compile("tps = ([0-9.]+)");

    private final Path program;
    private final DbSettings db;

    private Pgbench(Path program, DbSettings db) {
        this.program = program;
        this.db = db;
    }

    /** Finds it on the PATH, or in Debian's folder of the newest server. */
    static Optional<Pgbench> find(DbSettings db) {
        List<Path> places = new ArrayList<>();
        for (String folder : System.getenv().getOrDefault("PATH", "").split(File.pathSeparator)) {
            places.add(Path.of(folder, "pgbench"));
        }
        if (Files.isDirectory(DEBIAN)) {
            try (Stream<Path> versions = Files.list(DEBIAN)) {
                versions.sorted(Comparator.reverseOrder()).forEach(v -> places.add(v.resolve("bin/pgbench")));
            } catch (IOException e) {
                // It is looked for elsewhere.
            }
        }
        return places.stream().filter(Files::isExecutable).findFirst().map(program -> new Pgbench(program, db));
    }

    /** Runs a script repeatedly; returns the runs per second. */
    double speed(Path script, int clients, double seconds) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(
                program.toString(), "-n", "-M", "prepared", "-c", "" + clients, "-j", "" + Math.min(clients, 2)));
        // pgbench takes no time below a second. So each client then runs a fixed number of scripts.
        command.addAll(seconds < 1 ? List.of("-t", "20") : List.of("-T", "" + Math.round(seconds)));
        command.addAll(List.of("-f", script.toString()));
        if (db.user() != null) {
            command.addAll(List.of("-U", db.user()));
        }
        command.add(db.url().replaceFirst("^jdbc:", ""));
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
        if (db.password() != null) {
            builder.environment().put("PGPASSWORD", db.password());
        }
        Process process = builder.start();
        try {
            String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            Matcher speed = SPEED.matcher(output);
            if (process.waitFor() != 0 || !speed.find()) {
                throw new IOException("pgbench failed: " + output.strip());
            }
            return Double.parseDouble(speed.group(1));
        } finally {
            process.destroy();
        }
    }
}
