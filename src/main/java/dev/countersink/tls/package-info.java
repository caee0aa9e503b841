/** Encrypted connections to servers of a company's own. */
@NullMarked
package dev.countersink.tls;

import org.jspecify.annotations.NullMarked;
