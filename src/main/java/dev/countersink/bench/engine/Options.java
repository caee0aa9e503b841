package dev.countersink.bench.engine;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.TreeSet;

/**
 * What {@code bench engine} is asked for.
 *
 * @param names of the scenarios; none means all
 * @param scale share of the full size, at most 1
 * @param write whether figures and plots go into bench/README.md
 * @param server an empty database to run in; null for a server of the bench's own
 */
record Options(Set<String> names, double scale, boolean write, String server) {
    static Options parse(List<String> arguments, List<String> scenarios) {
        Set<String> names = new TreeSet<>();
        double scale = 1;
        boolean write = false;
        String server = null;
        List<String> left = new ArrayList<>(arguments);
        while (!left.isEmpty()) {
            String word = left.remove(0);
            switch (word) {
                case "--scale" -> scale = share(left.isEmpty() ? "nothing" : left.remove(0));
                case "--write" -> write = true;
                case "--server" -> server = left.isEmpty() ? "" : left.remove(0);
                default -> {
                    if (!scenarios.contains(word)) {
                        throw new IllegalArgumentException(String.format(
                                Locale.ROOT,
                                "'bench engine' takes --scale F, --write, --server URL and names of scenarios (%s), not '%s'.",
                                String.join(", ", scenarios),
                                word));
                    }
                    names.add(word);
                }
            }
        }
        if (write && scale != 1) {
            throw new IllegalArgumentException("--write keeps figures of the full size only: leave --scale out.");
        }
        return new Options(names, scale, write, server);
    }

    boolean wants(Scenario scenario) {
        return names.isEmpty() || names.contains(scenario.name());
    }

    /** How the command line was. */
    String command() {
        return "./countersink bench engine"
                + (names.isEmpty() ? "" : " " + String.join(" ", names))
                + (scale == 1 ? "" : " --scale " + String.format(Locale.ROOT, "%s", scale));
    }

    private static double share(String text) {
        try {
            double scale = Double.parseDouble(text);
            if (scale > 0 && scale <= 1) {
                return scale;
            }
        } catch (NumberFormatException e) {
            // said below
        }
        throw new IllegalArgumentException(
                String.format(Locale.ROOT, "--scale takes a share from 0 to 1, not '%s'.", text));
    }
}
