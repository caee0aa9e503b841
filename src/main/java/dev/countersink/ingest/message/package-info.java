/**
 * The content of messages: it is decoded here, in one pass. This package depends neither on the server that messages come from
 * nor on the database.
 */
package dev.countersink.ingest.message;
