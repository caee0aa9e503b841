/** SHA-256, which every Java has. */
@NullMarked
package dev.countersink.digest;

import org.jspecify.annotations.NullMarked;
