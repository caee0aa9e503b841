/** {@code ./countersink explain}: prints what is needed to keep a view. */
package dev.countersink.explain;
