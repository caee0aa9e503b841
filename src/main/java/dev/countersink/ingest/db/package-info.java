/**
 * The PostgreSQL side: batches are copied into the session's stage tables and applied by one function call. It does not depend
 * on NATS.
 */
@NullMarked
package dev.countersink.ingest.db;

import org.jspecify.annotations.NullMarked;
