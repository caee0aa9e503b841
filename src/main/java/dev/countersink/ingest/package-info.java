/** Ingestion: takes batches from {@code ingest.nats}, writes them by {@code ingest.db}, and acks them after the commit. */
@NullMarked
package dev.countersink.ingest;

import org.jspecify.annotations.NullMarked;
