package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Iterator;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The output of isolationtester. Reading it asserts four things: every comparison with an oracle found no difference, every
 * permutation ended with such a comparison, only serialization failures occurred, and a step that failed changed nothing.
 */
final class IsolationTranscript {
    private static final String PERMUTATION = "starting permutation: ";
    private static final Pattern STEP = Pattern.compile("step (\\w+): .*");
    private static final Pattern TROUBLE =
            Pattern.compile("(\\w+: )?(ERROR|FATAL|PANIC|WARNING): .*|unused step name: .*");
    private static final String NOT_SERIALIZABLE = "ERROR:  could not serialize access ";
    private static final Pattern DIFFERENCES = Pattern.compile("relation *\\|side *\\|data *");
    private static final String UNCHANGED = "unchanged";
    /** The last step of every permutation, which merges the rest and compares stored and live rows with the oracle. */
    private static final String CHECK = "check";

    private final Set<String> waited = new TreeSet<>();
    private final Set<String> failed = new TreeSet<>();
    private int permutations;
    private String permutation = "";
    private String step = CHECK;
    private boolean checked = true;
    private boolean failedHere;

    private IsolationTranscript() {}

    static IsolationTranscript of(String output) {
        IsolationTranscript transcript = new IsolationTranscript();
        Iterator<String> lines = output.lines().iterator();
        while (lines.hasNext()) {
            transcript.read(lines.next(), lines);
        }
        transcript.end();
        return transcript;
    }

    int permutations() {
        return permutations;
    }

    Set<String> waited() {
        return waited;
    }

    Set<String> failed() {
        return failed;
    }

    private void read(String line, Iterator<String> rest) {
        Matcher name = STEP.matcher(line);
        if (line.startsWith(PERMUTATION)) {
            end();
            permutations++;
            permutation = line;
            failedHere = false;
        } else if (name.matches()) {
            step = name.group(1);
            checked = false;
        }
        if (line.endsWith(" <waiting ...>")) {
            waited.add(step);
        } else if (TROUBLE.matcher(line).matches()) {
            assertThat(line).as("step %s of %s", step, permutation).startsWith(NOT_SERIALIZABLE);
            failed.add(step);
            failedHere = true;
        } else if (DIFFERENCES.matcher(line).matches()) {
            assertThat(List.of(rest.next(), rest.next()))
                    .as("what step %s found different in %s", step, permutation)
                    .element(1)
                    .isEqualTo("(0 rows)");
            checked = true;
        } else if (line.strip().equals(UNCHANGED) && failedHere) {
            assertThat(List.of(rest.next(), rest.next().strip()))
                    .as("whether all was as before in %s", permutation)
                    .element(1)
                    .isEqualTo("t");
        }
    }

    private void end() {
        assertThat(step).as("last step of %s", permutation).isEqualTo(CHECK);
        assertThat(checked).as("check of %s", permutation).isTrue();
    }
}
