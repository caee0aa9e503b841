/**
 * The JetStream side: the stream, one consumer for each job, pulls bounded in messages and bytes, and fair batches. It does not
 * depend on the database.
 */
@NullMarked
package dev.countersink.ingest.nats;

import org.jspecify.annotations.NullMarked;
