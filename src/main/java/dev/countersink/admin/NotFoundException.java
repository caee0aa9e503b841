package dev.countersink.admin;

import java.util.Locale;

/** The object that a request names does not exist. */
final class NotFoundException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final String code;
    private final String hint;

    NotFoundException(String code, String message, String hint) {
        super(message);
        this.code = code;
        this.hint = hint;
    }

    static NotFoundException view(String name) {
        return new NotFoundException(
                "TL001",
                String.format(Locale.ROOT, "There is no derived view %s.", name),
                "GET /api/views lists those there are.");
    }

    static NotFoundException run(long id) {
        return new NotFoundException(
                Problems.NO_DATA,
                String.format(Locale.ROOT, "There is no run %d.", id),
                "GET /api/runs lists those there are.");
    }

    String code() {
        return code;
    }

    String hint() {
        return hint;
    }
}
