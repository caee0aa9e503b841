/** {@code ./countersink demo}: generated results through NATS into PostgreSQL, with a comparison at the end. */
@NullMarked
package dev.countersink.demo;

import org.jspecify.annotations.NullMarked;
