/**
 * The content of messages: it is decoded here, in one pass. This package depends neither on the server that messages come from
 * nor on the database.
 */
@NullMarked
package dev.countersink.ingest.message;

import org.jspecify.annotations.NullMarked;
