/**
 * The side of JetStream: the stream, one consumer for each job, pulls bounded in messages and bytes, and fair batches. Knows
 * no database.
 */
package dev.countersink.ingest.nats;
