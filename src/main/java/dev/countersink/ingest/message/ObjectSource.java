package dev.countersink.ingest.message;

import java.io.IOException;
import java.io.InputStream;

/** Reads objects, which hold content that is too large for a message. */
public interface ObjectSource {
    /**
     * What was put under a name.
     *
     * @param version another one if something else is put under the same name
     */
    record Found(InputStream content, String version) {}

    /**
     * Opens an object.
     *
     * @param most the limit in bytes
     * @throws IOException if there is no such object or it is too large: a {@link MissingObjectException} or a
     *     {@link TooLargeException}
     * @throws ContentUnavailableException if it cannot be read at present
     */
    Found open(String bucket, String name, long most) throws IOException;
}
