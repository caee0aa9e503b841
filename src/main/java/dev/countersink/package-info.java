/** The service: starts an instance, and ends it in order. */
@NullMarked
package dev.countersink;

import org.jspecify.annotations.NullMarked;
