package dev.countersink.monitor;

import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import java.util.Locale;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** One line a minute of what this instance has done and how all views are; none if it has done nothing. */
final class StateLine {
    private static final Logger LOG = LoggerFactory.getLogger("dev.countersink.views");

    private final MeterRegistry meters;
    private Done before = new Done(0, 0, 0);

    StateLine(MeterRegistry meters) {
        this.meters = meters;
    }

    /** What this instance has done since it started. */
    private record Done(double keys, double rows, double runs) {
        Done since(Done before) {
            return new Done(keys - before.keys, rows - before.rows, runs - before.runs);
        }

        boolean something() {
            return keys > 0 || rows > 0 || runs > 0;
        }
    }

    /** To be called once a minute. */
    void write(ViewBoard.Now now) {
        Done all = new Done(
                total("countersink.merge.keys"),
                total("countersink.merge.changed"),
                total("countersink.runs.finished"));
        Done lately = all.since(before);
        before = all;
        if (lately.something()) {
            LOG.info("{}", sentence(now, lately));
        }
    }

    private static String sentence(ViewBoard.Now now, Done lately) {
        long fine = now.views().stream()
                .filter(view -> "ok".equals(view.path("level").asString("")))
                .count();
        return String.format(
                Locale.ROOT,
                "%d of %d views are as they should be; in the last minute %,.0f keys were merged here, %,.0f rows changed and"
                        + " %,.0f runs finished; %s; findings: %d",
                fine,
                now.views().size(),
                lately.keys(),
                lately.rows(),
                lately.runs(),
                Findings.oldestChange(now.views()).orElse("nothing is pending"),
                now.findings().size());
    }

    private double total(String counter) {
        return meters.find(counter).counters().stream()
                .mapToDouble(Counter::count)
                .sum();
    }
}
