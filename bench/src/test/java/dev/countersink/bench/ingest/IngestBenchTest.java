package dev.countersink.bench.ingest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.countersink.bench.engine.Figure;
import dev.countersink.testing.TestNats;
import dev.countersink.testing.TestPostgres;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledIfSystemProperty;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;
import picocli.CommandLine.ParameterException;

/** Asks for figures, never for a speed. */
class IngestBenchTest {
    private static final List<String> NAMES =
            IngestBench.SCENARIOS.stream().map(Scenario::name).toList();

    @TempDir
    private Path dir;

    @Test
    @DisabledIfSystemProperty(
            named = "postgres.version",
            matches = "15",
            disabledReason = "the bench measures the version of the jar")
    void everyScenarioFindsItsFiguresAtATinyScale() throws Exception {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (TestNats nats = new TestNats()) {
            Map<String, List<Figure>> figures = IngestBench.run(
                    new LinkedHashSet<>(NAMES),
                    0.01,
                    TestPostgres.migrated(),
                    nats.settings(),
                    dir,
                    new PrintStream(out, true, StandardCharsets.UTF_8));
            assertThat(figures.keySet()).containsExactlyElementsOf(NAMES);
            figures.forEach((name, found) -> {
                assertThat(found).as(name).isNotEmpty();
                found.stream()
                        .filter(figure -> figure.aim() != null)
                        .forEach(figure ->
                                assertThat(figure.ratio()).as(figure.what()).isFinite());
            });
            assertThat(figures.get("restart"))
                    .last()
                    .extracting(Figure::value)
                    .as("exit status")
                    .isEqualTo("0");
        }
        assertThat(out.toString(StandardCharsets.UTF_8)).contains("this is --scale 0.01");
    }

    @Test
    void anUnknownScenarioAndAnImpossibleScaleAreRefused() {
        assertThatThrownBy(() -> call("backlogs"))
                .isInstanceOf(ParameterException.class)
                .hasMessageContaining("There is no scenario 'backlogs': use any of " + String.join(", ", NAMES));
        assertThatThrownBy(() -> call("--scale", "2"))
                .isInstanceOf(ParameterException.class)
                .hasMessageContaining("--scale takes a share from 0 to 1, not '2.0'.");
    }

    private static void call(String... arguments) throws Exception {
        IngestCommand command = new IngestCommand();
        new CommandLine(command).parseArgs(arguments);
        command.call();
    }
}
