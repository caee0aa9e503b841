package dev.countersink.bench.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.countersink.bench.engine.Figure;
import dev.countersink.embedded.EmbeddedPostgres;
import dev.countersink.testing.TestFolder;
import dev.countersink.testing.TestNats;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;
import picocli.CommandLine.ParameterException;

/** Asks for figures, never for a speed. */
class ApiBenchTest {

    @Test
    void everyQuestionFindsItsFigures() throws Exception {
        Path dir = TestFolder.create("bench-api");
        try (TestNats nats = new TestNats();
                EmbeddedPostgres postgres = EmbeddedPostgres.start(
                        dir,
                        Map.of("shared_preload_libraries", "pg_stat_statements", "pg_stat_statements.track", "all"))) {
            List<Figure> figures = ApiBench.run(
                    postgres.settings(),
                    nats.settings(),
                    List.of(2, 4),
                    1,
                    100,
                    new PrintStream(new ByteArrayOutputStream(), true, StandardCharsets.UTF_8));
            assertThat(figures)
                    .extracting(Figure::what)
                    .contains(
                            "2 idle projections",
                            "4 idle projections",
                            "GET /",
                            "the dashboard's page Now",
                            "the dashboard's page Ingestion");
            assertThat(figures).allSatisfy(figure -> assertThat(figure.value()).doesNotContain("NaN"));
        }
    }

    @Test
    void fewerViewsThanThereAreAreRefused() {
        assertThatThrownBy(() -> {
                    ApiCommand command = new ApiCommand();
                    new CommandLine(command).parseArgs("--views", "1");
                    command.call();
                })
                .isInstanceOf(ParameterException.class)
                .hasMessageContaining("--views");
    }
}
