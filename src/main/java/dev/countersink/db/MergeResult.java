package dev.countersink.db;

import org.jspecify.annotations.Nullable;

/**
 * What one call of {@code tally.merge} or {@code tally.refresh} did.
 *
 * @param outcome merged, nothing, busy, paused, waiting or failed
 * @param consumed delta rows taken
 * @param keys keys evaluated
 * @param changed rows of the projection that were written
 * @param quarantined keys that could not be evaluated
 * @param more whether there is more to merge: then call again at once
 * @param error if it failed, otherwise null
 */
public record MergeResult(
        String outcome,
        long consumed,
        long keys,
        long changed,
        long quarantined,
        boolean more,
        @Nullable String error) {}
