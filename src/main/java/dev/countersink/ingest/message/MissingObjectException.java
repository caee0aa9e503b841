package dev.countersink.ingest.message;

import java.io.IOException;

/** A message refers to an object that does not exist. */
public final class MissingObjectException extends IOException {
    private static final long serialVersionUID = 1L;

    public MissingObjectException(String bucket, String name) {
        super("There is no object \"" + name + "\" in bucket \"" + bucket + "\".");
    }
}
