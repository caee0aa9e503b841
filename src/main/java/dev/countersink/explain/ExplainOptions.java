package dev.countersink.explain;

import dev.countersink.config.DbSettings;
import java.util.List;

/**
 * What is asked for.
 *
 * @param view its name, as SQL would quote it
 * @param key columns; null for the keys that would do
 * @param db where the view is
 */
record ExplainOptions(String view, List<String> key, DbSettings db) {}
