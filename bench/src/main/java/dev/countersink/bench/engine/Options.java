package dev.countersink.bench.engine;

import java.util.Locale;
import java.util.Set;

/**
 * The options of {@code bench engine}.
 *
 * @param names the scenarios to run; empty for all
 * @param scale the share of the full size, at most 1
 * @param write whether figures and plots go into bench/README.md
 * @param server an empty database to run in; null for an embedded server
 */
record Options(Set<String> names, double scale, boolean write, String server) {
    boolean wants(Scenario scenario) {
        return names.isEmpty() || names.contains(scenario.name());
    }

    /** The command line with these options. */
    String command() {
        return "./countersink bench engine"
                + (names.isEmpty() ? "" : " " + String.join(" ", names))
                + (scale == 1 ? "" : " --scale " + String.format(Locale.ROOT, "%s", scale));
    }
}
