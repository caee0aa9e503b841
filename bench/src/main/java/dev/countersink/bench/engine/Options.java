package dev.countersink.bench.engine;

import java.util.Locale;
import java.util.Set;

/**
 * What {@code bench engine} is asked for.
 *
 * @param names of the scenarios; none means all
 * @param scale share of the full size, at most 1
 * @param write whether figures and plots go into bench/README.md
 * @param server an empty database to run in; null for a server of the bench's own
 */
record Options(Set<String> names, double scale, boolean write, String server) {
    boolean wants(Scenario scenario) {
        return names.isEmpty() || names.contains(scenario.name());
    }

    /** How the command line was. */
    String command() {
        return "./countersink bench engine"
                + (names.isEmpty() ? "" : " " + String.join(" ", names))
                + (scale == 1 ? "" : " --scale " + String.format(Locale.ROOT, "%s", scale));
    }
}
