package dev.countersink.admin;

import java.util.List;
import org.springframework.http.HttpStatus;

/** Results were sent and not all of them could be taken; says how many were, and when to send again. */
final class IntakeRefusedException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final HttpStatus status;
    private final String code;
    private final String hint;
    private final long retryAfterSeconds;
    private final long queued;
    private final transient List<ResultIntake.Rejected> rejected;

    /** @param retryAfterSeconds 0 if it is of no use to send the same again */
    IntakeRefusedException(
            HttpStatus status,
            String code,
            String message,
            String hint,
            long retryAfterSeconds,
            long queued,
            List<ResultIntake.Rejected> rejected) {
        super(message);
        this.status = status;
        this.code = code;
        this.hint = hint;
        this.retryAfterSeconds = retryAfterSeconds;
        this.queued = queued;
        this.rejected = List.copyOf(rejected);
    }

    HttpStatus status() {
        return status;
    }

    String code() {
        return code;
    }

    String hint() {
        return hint;
    }

    long retryAfterSeconds() {
        return retryAfterSeconds;
    }

    long queued() {
        return queued;
    }

    List<ResultIntake.Rejected> rejected() {
        return rejected;
    }
}
