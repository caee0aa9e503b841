package dev.countersink.explain;

import dev.countersink.config.DbSettings;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The arguments of the command.
 *
 * @param view its name, as SQL would quote it
 * @param key columns; null: every possible key
 * @param db the database with the view
 */
record ExplainOptions(String view, @Nullable List<String> key, DbSettings db) {}
