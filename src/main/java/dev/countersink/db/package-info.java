/** The database of an instance: connections, migrations, and calls of the functions that the API and the scheduler use. */
@NullMarked
package dev.countersink.db;

import org.jspecify.annotations.NullMarked;
