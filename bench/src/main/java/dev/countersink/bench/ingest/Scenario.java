package dev.countersink.bench.ingest;

import dev.countersink.bench.engine.Figure;
import java.util.List;

/** One question, and how its answer is measured. */
interface Scenario {
    /** By which the command line calls it. */
    String name();

    /** What is done, in a sentence or two, for the reader of the figures. */
    String does();

    /** How many captures the database has to have. */
    int captures(Lab lab);

    List<Figure> run(Lab lab) throws Exception;
}
