package dev.countersink.bench.engine;

/** A measurement that answers one question. */
interface Scenario {
    /** Its name on the command line. */
    String name();

    /** A sentence or two about what is measured, for readers of the figures. */
    String does();

    /** How long it takes at full scale on two cores. */
    int minutes();

    Outcome run(Lab lab) throws Exception;
}
