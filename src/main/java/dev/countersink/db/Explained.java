package dev.countersink.db;

import org.jspecify.annotations.Nullable;

/**
 * How a source of a view leads to keys: a row of {@code tally.explain}.
 *
 * @param columns to watch, joined with commas
 * @param expand SQL that leads from all rows of the source to keys
 * @param reach exact, wider, every key, or cannot be watched
 * @param reason a sentence
 * @param index indexes used, or the CREATE INDEX of missing ones, a line each; may be null
 * @param keysPerRow keys that a changed row leads to on average; null if there are no statistics
 * @param key columns, joined with commas
 * @param declared how it is declared, for a kept view; otherwise null
 */
public record Explained(
        String source,
        String columns,
        String expand,
        String reach,
        String reason,
        @Nullable String index,
        @Nullable String keysPerRow,
        String key,
        @Nullable String declared) {}
