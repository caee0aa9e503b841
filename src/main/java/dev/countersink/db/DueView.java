package dev.countersink.db;

import org.jspecify.annotations.Nullable;

/**
 * A derived view that the scheduler calls.
 *
 * @param name schema.name
 * @param kind projection or snapshot
 * @param action merge or refresh
 * @param intervalMs between two actions, null for the scheduler's default
 * @param cron instead of an interval, or null
 * @param priority of views due at the same moment, the highest goes first
 */
public record DueView(
        String name,
        String kind,
        String action,
        @Nullable Integer intervalMs,
        @Nullable String cron,
        int priority) {}
