package dev.countersink.admin;

/** What a request names is not there. */
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
                "TL001", "There is no derived view %s.".formatted(name), "GET /api/views lists those there are.");
    }

    static NotFoundException run(long id) {
        return new NotFoundException(
                "02000", "There is no run %d.".formatted(id), "GET /api/runs lists those there are.");
    }

    String code() {
        return code;
    }

    String hint() {
        return hint;
    }
}
