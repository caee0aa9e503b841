package dev.countersink.bench.engine;

import java.util.List;

/** What a scenario found. */
record Outcome(List<Figure> figures, List<Plot> plots) {
    static Outcome of(Figure... figures) {
        return new Outcome(List.of(figures), List.of());
    }
}
