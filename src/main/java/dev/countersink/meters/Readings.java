package dev.countersink.meters;

import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.MultiGauge;
import io.micrometer.core.instrument.Tags;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * A metric of which there is one for each view, job, instance or state. One that stays is not registered anew when it is read
 * again: whoever scrapes meanwhile would see it twice, and be refused.
 */
public final class Readings {
    private final MultiGauge gauge;
    private final Map<Tags, Double> values = new ConcurrentHashMap<>();

    public Readings(MeterRegistry registry, String name, String description, @Nullable String unit) {
        MultiGauge.Builder builder = MultiGauge.builder(name).description(description);
        gauge = (unit == null ? builder : builder.baseUnit(unit)).register(registry);
    }

    /** These, and no others. */
    public void set(Map<Tags, Double> now) {
        values.putAll(now);
        values.keySet().retainAll(now.keySet());
        gauge.register(
                now.keySet().stream()
                        .<MultiGauge.Row<?>>map(
                                tags -> MultiGauge.Row.of(tags, values, read -> read.getOrDefault(tags, Double.NaN)))
                        .toList(),
                false);
    }
}
