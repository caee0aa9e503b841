/** Forms of metrics that several packages use. */
@NullMarked
package dev.countersink.meters;

import org.jspecify.annotations.NullMarked;
