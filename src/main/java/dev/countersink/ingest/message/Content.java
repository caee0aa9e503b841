package dev.countersink.ingest.message;

import java.io.IOException;
import java.io.InputStream;

/** The bytes of a message, wherever they are stored. They may be read any number of times. */
interface Content {
    InputStream open() throws IOException;

    /** Called if a dead letter refers to the content, so that it must not be removed. */
    default void keep() {}
}
