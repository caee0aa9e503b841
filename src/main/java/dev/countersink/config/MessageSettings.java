package dev.countersink.config;

import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;
import org.springframework.util.unit.DataSize;

/**
 * What one message may contain, and what is stored of it. A message over a limit becomes a dead letter that names the limit.
 *
 * @param memory how much memory a decoded message may take
 * @param maxScores how many scores and logits it may have in total
 * @param maxText how many characters a text in it may have
 * @param maxInflated how large a compressed message may become
 * @param scores which scores are stored: {@code all}, {@code top-N} or {@code none}
 * @param logits the same for logits
 */
@ConfigurationProperties("countersink.message")
public record MessageSettings(
        @DefaultValue("64MB") DataSize memory,
        @DefaultValue("10000000") int maxScores,
        @DefaultValue("1000000") int maxText,
        @DefaultValue("256MB") DataSize maxInflated,
        @DefaultValue("all") String scores,
        @DefaultValue("all") String logits) {
    private static final DataSize MEMORY = DataSize.ofMegabytes(64);
    private static final int MAX_SCORES = 10_000_000;
    private static final int MAX_TEXT = 1_000_000;
    private static final DataSize MAX_INFLATED = DataSize.ofMegabytes(256);

    public MessageSettings {
        Check.within("countersink.message.memory", memory, DataSize.ofMegabytes(1), DataSize.ofMegabytes(1024), MEMORY);
        Check.within("countersink.message.max-scores", maxScores, 1, 250_000_000, MAX_SCORES);
        Check.within("countersink.message.max-text", maxText, 1000, 100_000_000, MAX_TEXT);
        Check.within(
                "countersink.message.max-inflated",
                maxInflated,
                DataSize.ofMegabytes(1),
                DataSize.ofMegabytes(4096),
                MAX_INFLATED);
        scores = StoredNumbers.read("countersink.message.scores", scores).toString();
        logits = StoredNumbers.read("countersink.message.logits", logits).toString();
    }

    public static MessageSettings defaults() {
        return new MessageSettings(MEMORY, MAX_SCORES, MAX_TEXT, MAX_INFLATED, "all", "all");
    }

    public StoredNumbers storedScores() {
        return StoredNumbers.read("countersink.message.scores", scores);
    }

    public StoredNumbers storedLogits() {
        return StoredNumbers.read("countersink.message.logits", logits);
    }
}
