package dev.countersink.admin;

/** A request with a wrong parameter or body. */
final class BadRequestException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final String hint;

    BadRequestException(String message, String hint) {
        super(message);
        this.hint = hint;
    }

    String hint() {
        return hint;
    }
}
