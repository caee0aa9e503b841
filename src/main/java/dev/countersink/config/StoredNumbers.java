package dev.countersink.config;

import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Which numbers of an array are stored.
 *
 * @param most how many, taking the highest; 0 for none
 */
public record StoredNumbers(int most) {
    public static final StoredNumbers ALL = new StoredNumbers(Integer.MAX_VALUE);
    public static final StoredNumbers NONE = new StoredNumbers(0);

    private static final String TOP = "top-";
    private static final int HIGHEST_TOP = 10_000;

    public static StoredNumbers top(int most) {
        return new StoredNumbers(most);
    }

    /** Reads {@code all}, {@code none} or {@code top-N}; an empty value means {@code all}. */
    static StoredNumbers read(String key, @Nullable String value) {
        String word = value == null ? "" : value.strip().toLowerCase(Locale.ROOT);
        if (word.isEmpty() || word.equals("all")) {
            return ALL;
        }
        if (word.equals("none")) {
            return NONE;
        }
        if (word.matches(TOP + "[0-9]{1,5}")) {
            int most = Integer.parseInt(word.substring(TOP.length()));
            if (most >= 1 && most <= HIGHEST_TOP) {
                return top(most);
            }
        }
        throw Check.refused(
                key,
                value,
                String.format(
                        Locale.ROOT, "it must be all, none, or top-N with N at least 1 and at most %d", HIGHEST_TOP),
                "all");
    }

    public boolean isAll() {
        return most == Integer.MAX_VALUE;
    }

    @Override
    public String toString() {
        return isAll() ? "all" : most == 0 ? "none" : TOP + most;
    }
}
