package dev.countersink.admin;

import java.util.Locale;

/** What a token may do. Each role may do what those before it may. */
enum Role {
    /** Reads. */
    READER,
    /** Also refreshes, verifies, repairs, pauses, schedules, cancels, and sends results. */
    OPERATOR,
    /** Also rebuilds, and makes and revokes tokens. */
    OWNER;

    /** By its name in the database and in answers. */
    static Role of(String name) {
        return valueOf(name.toUpperCase(Locale.ROOT));
    }

    boolean includes(Role other) {
        return compareTo(other) >= 0;
    }

    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
