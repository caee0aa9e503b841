/** The scheduler: Quartz runs what the catalog of {@code tally} lists as due, and what operators request. */
package dev.countersink.jobs;
