package dev.countersink.admin;

import java.util.Locale;

/** The number of rows of a page. */
final class Limit {
    static final String DEFAULT = "50";
    static final int CEILING = 1000;

    private Limit() {}

    static int check(int limit) {
        if (limit < 1 || limit > CEILING) {
            throw new BadRequestException(
                    String.format(
                            Locale.ROOT, "limit is %d, but it must be at least 1 and at most %d.", limit, CEILING),
                    String.format(Locale.ROOT, "Leave it out for %s.", DEFAULT));
        }
        return limit;
    }
}
