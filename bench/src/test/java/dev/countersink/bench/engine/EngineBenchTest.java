package dev.countersink.bench.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.countersink.testing.TestPostgres;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledIfSystemProperty;
import org.junit.jupiter.api.io.TempDir;
import org.xml.sax.InputSource;
import picocli.CommandLine;
import picocli.CommandLine.ParameterException;

/** Asks for figures, never for a speed. Each scenario fails by itself when what it made is not exact. */
class EngineBenchTest {
    private static final List<String> NAMES =
            EngineBench.SCENARIOS.stream().map(Scenario::name).toList();

    @Test
    @DisabledIfSystemProperty(
            named = "postgres.version",
            matches = "15",
            disabledReason = "the bench measures the version of the jar")
    void everyScenarioFindsItsFiguresAtATinyScale() throws Exception {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        Map<String, Outcome> outcomes = EngineBench.run(
                options("--scale", "0.001"),
                TestPostgres.migrated(),
                new PrintStream(out, true, StandardCharsets.UTF_8));
        assertThat(outcomes.keySet()).containsExactlyElementsOf(NAMES);
        outcomes.forEach((name, outcome) -> {
            assertThat(outcome.figures()).as(name).isNotEmpty();
            outcome.figures().stream()
                    .filter(f -> f.aim() != null)
                    .forEach(f -> assertThat(f.ratio()).as(f.what()).isFinite());
            outcome.plots().forEach(EngineBenchTest::wellFormed);
        });
        assertThat(ratios(outcomes, "merge-cost")).isEqualTo(8);
        assertThat(ratios(outcomes, "held-xmin")).isEqualTo(4);
        assertThat(ratios(outcomes, "wide-change")).isEqualTo(1);
        assertThat(ratios(outcomes, "refresh")).isEqualTo(2);
        assertThat(ratios(outcomes, "backfill")).isEqualTo(1);
        assertThat(out.toString(StandardCharsets.UTF_8))
                .contains("not official")
                .contains("| trigger-cost | ");
    }

    private static long ratios(Map<String, Outcome> outcomes, String name) {
        return outcomes.get(name).figures().stream()
                .filter(f -> !Double.isNaN(f.ratio()))
                .count();
    }

    private static void wellFormed(Plot plot) {
        try {
            DocumentBuilderFactory.newInstance()
                    .newDocumentBuilder()
                    .parse(new InputSource(new StringReader(plot.svg())));
        } catch (Exception e) {
            throw new AssertionError(plot.file() + ": " + plot.svg(), e);
        }
        assertThat(plot.svg()).as(plot.file()).doesNotContain("NaN").doesNotContain("Infinity");
    }

    @Test
    void aScenarioReplacesItsOwnPartOfTheFileAndNoOther(@TempDir Path dir) throws Exception {
        Path file = Files.writeString(dir.resolve("README.md"), "before\n<!-- engine -->\n<!-- /engine -->\nafter\n");
        Report report = new Report(options(), "one machine");
        write(report, file, 3, "first");
        write(report, file, 0, "second");
        write(report, file, 3, "third");
        assertThat(file)
                .content()
                .startsWith("before\n<!-- engine -->\n")
                .endsWith("<!-- /engine -->\nafter\n")
                .doesNotContain("first")
                .containsSubsequence("### " + NAMES.get(0), "second", "### " + NAMES.get(3), "third");
        assertThat(dir.resolve("plots/third.svg")).content().contains("third");
    }

    @Test
    void aPlotHasPointsWhereNumbersAreWrittenWithCommas() {
        Plot expected = Plot.bars("p", "p", "s", List.of("a", "b"), Plot.Series.bars("", 1234.5, 0.25));
        Locale before = Locale.getDefault();
        Locale.setDefault(Locale.GERMANY);
        try {
            assertThat(String.format("%.1f", 1.5)).as("a number of this locale").isEqualTo("1,5");
            assertThat(Plot.bars("p", "p", "s", List.of("a", "b"), Plot.Series.bars("", 1234.5, 0.25)))
                    .isEqualTo(expected);
            assertThat(expected.svg()).contains("1,235").doesNotContainPattern("=\"[0-9]+,[0-9]");
        } finally {
            Locale.setDefault(before);
        }
    }

    private static void write(Report report, Path file, int scenario, String what) throws Exception {
        Plot plot = Plot.bars(what, what, "s", List.of("a & b"), Plot.Series.bars("", 1.5));
        wellFormed(plot);
        report.write(
                file,
                EngineBench.SCENARIOS.get(scenario),
                new Outcome(List.of(Figure.only(what, "1 s")), List.of(plot)));
    }

    @Test
    void optionsThatCannotBeAreRefusedWithASentence() {
        assertThat(options("refresh", "--scale", "0.5").names()).containsExactly("refresh");
        for (List<String> words : List.of(
                List.of("speed"), List.of("--scale"), List.of("--scale", "2"), List.of("--scale", "0.1", "--write"))) {
            assertThatThrownBy(() -> options(words.toArray(String[]::new)))
                    .as("%s", words)
                    .isInstanceOf(ParameterException.class)
                    .message()
                    .isNotBlank();
        }
    }

    private static Options options(String... words) {
        EngineCommand command = new EngineCommand();
        new CommandLine(command).parseArgs(words);
        return command.options();
    }

    @Test
    void aRatioIsHeldAgainstItsAim() {
        assertThat(Aim.atMost(1.2).met(1.2)).isTrue();
        assertThat(Aim.atMost(1.2).met(1.21)).isFalse();
        assertThat(Aim.atLeast(0.8).met(0.79)).isFalse();
        assertThat(new Figure("what", "1 s", 0.5, Aim.atLeast(0.8)).row())
                .contains("0.50")
                .contains("**not met**");
    }
}
