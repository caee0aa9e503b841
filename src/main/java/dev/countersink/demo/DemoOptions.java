package dev.countersink.demo;

/**
 * What the demo is asked for.
 *
 * @param captures images in all
 * @param jobs jobs that share them
 * @param exit whether to end when all is done
 */
record DemoOptions(int captures, int jobs, boolean exit) {}
