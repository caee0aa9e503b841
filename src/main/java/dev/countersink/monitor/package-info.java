/** What an instance knows about all derived views at once: their state, the last hour, and what is wrong. */
@NullMarked
package dev.countersink.monitor;

import org.jspecify.annotations.NullMarked;
