/** The program as a client of a running instance: commands that call its API and print the answers. */
@NullMarked
package dev.countersink.client;

import org.jspecify.annotations.NullMarked;
