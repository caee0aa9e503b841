package dev.countersink.bench;

import dev.countersink.bench.engine.EngineBench;
import dev.countersink.config.DbSettings;
import dev.countersink.config.EmbeddedSettings;
import dev.countersink.config.NatsSettings;
import dev.countersink.embedded.Servers;
import java.io.IOException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.List;
import java.util.Locale;

/** {@code bench NAME}: measurements on embedded servers of their own, each a ratio of two things done in one run. */
public final class Bench {
    private static final int USAGE = 2;
    private static final String NAMES = "write-overhead, ingest, engine";

    private static final String ENGINE = "engine";

    private Bench() {}

    /** Runs the bench that the first argument names; returns the exit status. */
    public static int execute(List<String> arguments) {
        String name = arguments.isEmpty() ? "" : arguments.get(0);
        if (arguments.size() > 1 && !name.equals(ENGINE)
                || !List.of(NAMES.split(", ")).contains(name)) {
            System.err.printf(Locale.ROOT, "'bench' measures one of: %s.%n", NAMES);
            return USAGE;
        }
        try {
            Path dir = Files.createTempDirectory("countersink-bench");
            try {
                if (name.equals(ENGINE)) {
                    return EngineBench.execute(arguments.subList(1, arguments.size()), dir);
                }
                run(name, dir);
                return 0;
            } finally {
                delete(dir);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return 1;
        } catch (Exception e) {
            throw new IllegalStateException(
                    String.format(Locale.ROOT, "The bench '%s' failed: %s", name, e.getMessage()), e);
        }
    }

    private static void run(String name, Path dir) throws Exception {
        try (Servers servers = new Servers(
                new DbSettings(null, null, null, 8),
                new NatsSettings(null, null, null, null, null, false, null, null),
                new EmbeddedSettings(dir))) {
            if (name.equals("ingest")) {
                new IngestBench(servers, dir).run();
            } else {
                new WriteOverheadBench(servers).run();
            }
        }
    }

    private static void delete(Path dir) throws IOException {
        Files.walkFileTree(dir, new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) throws IOException {
                Files.deleteIfExists(file);
                return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult postVisitDirectory(Path folder, IOException e) throws IOException {
                Files.deleteIfExists(folder);
                return FileVisitResult.CONTINUE;
            }
        });
    }
}
