package dev.countersink.ingest.message;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.config.MessageSettings;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** What a sender puts into headers takes memory as well. */
class HeavyHeadersTest {
    private static final int LARGE = 900_000;

    @Test
    void aMessageWeighsItsHeadersToo() {
        assertThat(weight(Map.of("Trace", List.of("x".repeat(LARGE))))).isGreaterThan(LARGE);
        assertThat(weight(Map.of("x".repeat(LARGE), List.of("")))).isGreaterThan(LARGE);
        String[] many = new String[LARGE / 10];
        java.util.Arrays.fill(many, "");
        assertThat(weight(Map.of("Trace", List.of(many)))).isGreaterThan(LARGE);
        assertThat(weight(Map.of())).isLessThan(LARGE / 100);
    }

    private static long weight(Map<String, List<String>> headers) {
        DecodedMessage.Origin origin =
                new DecodedMessage.Origin("RESULTS", 1, "results.1", headers, new byte[] {'{', '}'});
        return DecodedMessage.decode(new MessageDecoder(MessageSettings.defaults()), origin).stream()
                .mapToLong(DecodedMessage::weight)
                .sum();
    }
}
