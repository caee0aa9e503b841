/** The scheduler: Quartz runs what the catalog of {@code tally} says is due, and what operators ask for. */
package dev.countersink.jobs;
