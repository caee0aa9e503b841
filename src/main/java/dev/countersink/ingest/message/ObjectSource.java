package dev.countersink.ingest.message;

import java.io.IOException;
import java.io.InputStream;

/** Reads objects, which hold content that is too large for a message. */
public interface ObjectSource {
    /**
     * Opens an object.
     *
     * @param most the limit in bytes
     * @param progress is called repeatedly while it is fetched
     * @throws IOException if there is no such object or it is too large: a {@link MissingObjectException} or a
     *     {@link TooLargeException}
     * @throws ContentUnavailableException if it cannot be read at present
     */
    InputStream open(String bucket, String name, long most, Runnable progress) throws IOException;
}
