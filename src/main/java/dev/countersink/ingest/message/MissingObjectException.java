package dev.countersink.ingest.message;

import java.io.IOException;

/** A message refers to an object that does not exist. */
public final class MissingObjectException extends IOException {
    private static final long serialVersionUID = 1L;

    private final String appliedFor;

    public MissingObjectException(String bucket, String name) {
        this(bucket, name, "");
    }

    /** @param appliedFor the subject of the message for which it was applied and then removed; empty if that is not known */
    public MissingObjectException(String bucket, String name, String appliedFor) {
        super("There is no object \"" + name + "\" in bucket \"" + bucket + "\".");
        this.appliedFor = appliedFor;
    }

    String appliedFor() {
        return appliedFor;
    }
}
