/** Settings from the environment, as records that check their values. */
@NullMarked
package dev.countersink.config;

import org.jspecify.annotations.NullMarked;
