package dev.countersink.demo;

/**
 * The options of the demo.
 *
 * @param captures images in total
 * @param jobs jobs among which they are divided
 * @param exit whether to exit when all is done
 */
record DemoOptions(int captures, int jobs, boolean exit) {}
