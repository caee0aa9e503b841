package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * A spec of isolationtester, which names the steps that wait and those that fail, at which level:
 *
 * <pre>
 * # waits: w2_upsert
 * # fails at repeatable read, serializable: w2_upsert
 * </pre>
 */
record IsolationSpec(String name, String text) {
    private static final Pattern PERMUTATION = Pattern.compile("^permutation ", Pattern.MULTILINE);
    private static final Pattern WAITS = Pattern.compile("^# waits: (.*)$", Pattern.MULTILINE);
    private static final Pattern FAILS = Pattern.compile("^# fails at (.*): (.*)$", Pattern.MULTILINE);

    static IsolationSpec read(Path file) {
        try {
            return new IsolationSpec(file.getFileName().toString().replace(".spec", ""), Files.readString(file));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Asserts what must be true of every transcript, independent of the expected file. */
    void judge(String level, String output) {
        IsolationTranscript seen = IsolationTranscript.of(output);
        assertThat(seen.permutations()).as("permutations of " + name).isEqualTo(permutations());
        assertThat(seen.waited())
                .as("steps of %s that waited at %s", name, level)
                .isEqualTo(waits());
        assertThat(seen.failed())
                .as("steps of %s that failed at %s", name, level)
                .isEqualTo(fails(level));
    }

    private int permutations() {
        return (int) PERMUTATION.matcher(text).results().count();
    }

    private Set<String> waits() {
        return WAITS.matcher(text)
                .results()
                .flatMap(line -> words(line.group(1)))
                .collect(Collectors.toCollection(TreeSet::new));
    }

    private Set<String> fails(String level) {
        return FAILS.matcher(text)
                .results()
                .filter(line -> List.of(line.group(1).split(", ")).contains(level))
                .flatMap(line -> words(line.group(2)))
                .collect(Collectors.toCollection(TreeSet::new));
    }

    private static Stream<String> words(String list) {
        return Stream.of(list.strip().split("\\s+"));
    }
}
