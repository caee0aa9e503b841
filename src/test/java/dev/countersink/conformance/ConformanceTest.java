package dev.countersink.conformance;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** Every case in the folders, each with its own database and NATS server. */
class ConformanceTest {
    private static final Path OURS = Path.of("src", "test", "resources", "conformance");
    private static final Path SHARED = Path.of("..", "shared", "conformance");

    @TestFactory
    Stream<DynamicTest> ours() throws IOException {
        return cases(OURS);
    }

    @TestFactory
    Stream<DynamicTest> shared() throws IOException {
        if (!Files.isDirectory(SHARED)) {
            return Stream.of(DynamicTest.dynamicTest(
                    SHARED.toString(), () -> assumeTrue(false, "there is no folder " + SHARED.toAbsolutePath())));
        }
        return cases(SHARED);
    }

    private static Stream<DynamicTest> cases(Path folder) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(file -> file.toString().endsWith(".json")).sorted().toList().stream()
                    .map(file -> DynamicTest.dynamicTest(file.getFileName().toString(), () -> run(file)));
        }
    }

    private static void run(Path file) throws Exception {
        try (CaseRunner runner = new CaseRunner(file)) {
            runner.run();
        }
    }
}
