/**
 * The side of PostgreSQL: batches are copied into the session's stage tables and applied by one function call. Knows no NATS.
 */
package dev.countersink.ingest.db;
