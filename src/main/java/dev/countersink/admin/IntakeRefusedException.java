package dev.countersink.admin;

import java.util.List;
import org.springframework.http.HttpStatus;

/** Not all of the results that were sent could be taken. It says how many were, and when to send again. */
final class IntakeRefusedException extends RefusedException {
    private static final long serialVersionUID = 1L;

    private final long retryAfterSeconds;
    private final long queued;
    private final transient List<ResultIntake.Rejected> rejected;

    /** @param retryAfterSeconds 0 if sending the same again is of no use */
    IntakeRefusedException(
            HttpStatus status,
            String code,
            String message,
            String hint,
            long retryAfterSeconds,
            long queued,
            List<ResultIntake.Rejected> rejected) {
        super(status, code, message, hint);
        this.retryAfterSeconds = retryAfterSeconds;
        this.queued = queued;
        this.rejected = List.copyOf(rejected);
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
