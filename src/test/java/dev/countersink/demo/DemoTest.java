package dev.countersink.demo;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;

class DemoTest {

    @Test
    void generatedResultsGoThroughNatsIntoCountsThatAgreeWithTheirOracle() {
        assertThat(execute(List.of("--captures", "60", "--jobs", "2", "--exit")))
                .isZero();
    }

    @Test
    void anOptionThatIsNotThereIsRefused() {
        assertThat(execute(List.of("--capturs", "60"))).isEqualTo(2);
        assertThat(execute(List.of("--jobs", "none"))).isEqualTo(2);
    }

    private static int execute(List<String> words) {
        return new CommandLine(new DemoCommand()).execute(words.toArray(String[]::new));
    }
}
