package dev.countersink.demo;

import java.util.List;
import java.util.Locale;

/**
 * What the demo is asked for.
 *
 * @param captures images in all
 * @param jobs jobs that share them
 * @param exit whether to end when all is done
 */
record DemoOptions(int captures, int jobs, boolean exit) {
    private static final int CAPTURES = 3000;
    private static final int JOBS = 3;

    static DemoOptions parse(List<String> arguments) {
        int captures = CAPTURES;
        int jobs = JOBS;
        boolean exit = false;
        for (int i = 0; i < arguments.size(); i++) {
            switch (arguments.get(i)) {
                case "--captures" -> captures = number(arguments, ++i, 1_000_000);
                case "--jobs" -> jobs = number(arguments, ++i, 1000);
                case "--exit" -> exit = true;
                default ->
                    throw new IllegalArgumentException(String.format(
                            Locale.ROOT,
                            "'demo' takes --captures N, --jobs J and --exit, not '%s'.",
                            arguments.get(i)));
            }
        }
        return new DemoOptions(Math.max(captures, jobs), jobs, exit);
    }

    private static int number(List<String> arguments, int i, int most) {
        String option = arguments.get(i - 1);
        String text = i < arguments.size() ? arguments.get(i) : "nothing";
        try {
            int number = Integer.parseInt(text);
            if (number >= 1 && number <= most) {
                return number;
            }
        } catch (NumberFormatException e) {
            // said below
        }
        throw new IllegalArgumentException(
                String.format(Locale.ROOT, "%s takes a number from 1 to %,d, not '%s'.", option, most, text));
    }
}
