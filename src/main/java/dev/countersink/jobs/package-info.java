/** The scheduler: Quartz runs what the catalog of {@code tally} lists as due, and what operators request. */
@NullMarked
package dev.countersink.jobs;

import org.jspecify.annotations.NullMarked;
