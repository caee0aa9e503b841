/** PostgreSQL and NATS servers that the program starts itself if none are configured. */
@NullMarked
package dev.countersink.embedded;

import org.jspecify.annotations.NullMarked;
