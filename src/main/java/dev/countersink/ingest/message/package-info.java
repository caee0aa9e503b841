/**
 * What a message says: bytes are decoded here, in one pass. Knows neither the server that a message came from nor the
 * database that it goes to.
 */
package dev.countersink.ingest.message;
