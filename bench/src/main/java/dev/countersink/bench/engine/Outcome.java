package dev.countersink.bench.engine;

import java.util.List;

/** The figures and plots of a scenario. */
record Outcome(List<Figure> figures, List<Plot> plots) {
    static Outcome of(Figure... figures) {
        return new Outcome(List.of(figures), List.of());
    }
}
