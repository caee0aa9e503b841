package dev.countersink.ingest.message;

import java.io.IOException;
import java.io.InputStream;

/** The bytes of a message, wherever they are; they may be read any number of times. */
interface Content {
    InputStream open() throws IOException;

    /** A dead letter refers to it, so that it is needed later. */
    default void keep() {}
}
