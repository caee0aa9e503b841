/** {@code ./countersink explain}: prints what is needed to keep a view. */
@NullMarked
package dev.countersink.explain;

import org.jspecify.annotations.NullMarked;
