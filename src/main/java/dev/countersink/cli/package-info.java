/** The command line: the entry point of the program, its commands, and how errors at start are printed. */
@NullMarked
package dev.countersink.cli;

import org.jspecify.annotations.NullMarked;
