/** Ingestion: takes batches from {@code ingest.nats}, writes them by {@code ingest.db}, and acks them after the commit. */
package dev.countersink.ingest;
