package dev.countersink.demo;

import dev.countersink.ingest.IngestSnapshot;
import java.util.Locale;

/** The progress of the demo: on a terminal a bar that is redrawn, otherwise a line every other second. */
final class ProgressLine {
    private static final int WIDTH = 24;
    private static final int LOOKS_A_LINE = 4;

    private final long total;
    private final boolean terminal = System.console() != null && System.getenv("TERM") != null;
    private int looks;

    ProgressLine(long total) {
        this.total = total;
    }

    void show(long done, IngestSnapshot ingest, long pending, double lag, boolean last) {
        if (!terminal && !last && looks++ % LOOKS_A_LINE != 0) {
            return;
        }
        String line = String.format(
                Locale.ROOT,
                "%,d/%,d captures  %,.0f messages/s  commit p50 %s p99 %s  pending %,d  lag %.1f s",
                done,
                total,
                ingest.perSecond(),
                millis(ingest.allP50Millis()),
                millis(ingest.allP99Millis()),
                pending,
                lag);
        if (!terminal) {
            System.out.println(line);
            return;
        }
        int filled = (int) (WIDTH * done / total);
        System.out.print("\r[" + "#".repeat(filled) + "-".repeat(WIDTH - filled) + "] " + line + "  ");
        if (last) {
            System.out.println();
        }
        System.out.flush();
    }

    private static String millis(double value) {
        return Double.isNaN(value) ? "-" : String.format(Locale.ROOT, "%.0f ms", value);
    }
}
