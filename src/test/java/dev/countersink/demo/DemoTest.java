package dev.countersink.demo;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class DemoTest {

    @Test
    void generatedResultsGoThroughNatsIntoCountsThatAgreeWithTheirOracle() {
        assertThat(Demo.execute(List.of("--captures", "60", "--jobs", "2", "--exit")))
                .isZero();
    }

    @Test
    void anOptionThatIsNotThereIsRefused() {
        assertThat(Demo.execute(List.of("--capturs", "60"))).isEqualTo(2);
        assertThat(Demo.execute(List.of("--jobs", "none"))).isEqualTo(2);
    }
}
