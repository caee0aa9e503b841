package dev.countersink.bench.engine;

/** One question, and how its answer is measured. */
interface Scenario {
    /** By which the command line calls it. */
    String name();

    /** What is done, in a sentence or two, for the reader of the figures. */
    String does();

    /** How long it takes at full scale on a machine of two cores. */
    int minutes();

    Outcome run(Lab lab) throws Exception;
}
