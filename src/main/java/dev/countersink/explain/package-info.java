/** {@code ./countersink explain}: prints what keeping a view takes. */
package dev.countersink.explain;
