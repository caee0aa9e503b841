package dev.countersink.monitor;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** The last hour of each derived view, in memory: a sample every fifteen seconds. Not safe for use by several threads. */
final class History {
    static final int SAMPLES = 240;
    static final int SECONDS = 15;

    private final double[] times = new double[SAMPLES];
    private final Map<String, Series> byView = new LinkedHashMap<>();
    private int size;
    private int next;

    /** What is stored of a view at a moment; NaN: not known. */
    record Sample(double lag, double pending, double mergeMillis, double rowsPerMinute) {
        static final Sample UNKNOWN = new Sample(Double.NaN, Double.NaN, Double.NaN, Double.NaN);
    }

    private static final class Series {
        private final float[] lag = unknown();
        private final float[] pending = unknown();
        private final float[] mergeMillis = unknown();
        private final float[] rowsPerMinute = unknown();

        private static float[] unknown() {
            float[] values = new float[SAMPLES];
            Arrays.fill(values, Float.NaN);
            return values;
        }

        Sample at(int slot) {
            return new Sample(lag[slot], pending[slot], mergeMillis[slot], rowsPerMinute[slot]);
        }

        void set(int slot, Sample sample) {
            lag[slot] = (float) sample.lag();
            pending[slot] = (float) sample.pending();
            mergeMillis[slot] = (float) sample.mergeMillis();
            rowsPerMinute[slot] = (float) sample.rowsPerMinute();
        }
    }

    /** Adds a moment. A view that has no sample is not known then. */
    void add(double time, Map<String, Sample> samples) {
        int slot = next;
        next = (next + 1) % SAMPLES;
        size = Math.min(size + 1, SAMPLES);
        times[slot] = time;
        samples.keySet().forEach(view -> byView.computeIfAbsent(view, name -> new Series()));
        byView.forEach((view, series) -> series.set(slot, samples.getOrDefault(view, Sample.UNKNOWN)));
    }

    /** Forgets the views that are no more. */
    void retain(Set<String> views) {
        byView.keySet().retainAll(views);
    }

    /** The sample of each view that was taken first at a time or after it: what it tells of merges is of the time before. Of the first one that is 15 s. */
    Map<String, Sample> at(double time) {
        Map<String, Sample> samples = new LinkedHashMap<>();
        for (int i = 0; i < size; i++) {
            int slot = slot(i);
            if (times[slot] >= time) {
                if (i > 0 || times[slot] - time < SECONDS) {
                    byView.forEach((view, series) -> samples.put(view, series.at(slot)));
                }
                break;
            }
        }
        return samples;
    }

    List<Double> times() {
        List<Double> all = new ArrayList<>(size);
        for (int i = 0; i < size; i++) {
            all.add(times[slot(i)]);
        }
        return all;
    }

    /** How many rows of a view changed a minute at the last sample, null if it is not known. */
    @Nullable
    Double latestRowsPerMinute(String view) {
        Series series = byView.get(view);
        return series == null || size == 0 ? null : known(series.rowsPerMinute[slot(size - 1)]);
    }

    /** The four curves of a view, or nothing if it is not known. A value that is not known is null. */
    Map<String, List<@Nullable Double>> of(String view) {
        Series series = byView.get(view);
        if (series == null) {
            return Map.of();
        }
        Map<String, List<@Nullable Double>> curves = new LinkedHashMap<>();
        curves.put("lag", inOrder(series.lag));
        curves.put("pending", inOrder(series.pending));
        curves.put("merge_ms", inOrder(series.mergeMillis));
        curves.put("rows_per_minute", inOrder(series.rowsPerMinute));
        return curves;
    }

    /** The highest lag of each part of the hour, for a small picture; as many values as asked for, or fewer. */
    List<@Nullable Double> lags(String view, int parts) {
        Series series = byView.get(view);
        return series == null ? List.of() : highest(series.lag, parts);
    }

    /** The same of the time that merges took. */
    List<@Nullable Double> mergeMillis(String view, int parts) {
        Series series = byView.get(view);
        return series == null ? List.of() : highest(series.mergeMillis, parts);
    }

    private List<@Nullable Double> highest(float[] values, int parts) {
        int width = SAMPLES / parts;
        @Nullable Double[] highest = new Double[Math.min(parts, (size + width - 1) / width)];
        for (int i = 0; i < size; i++) {
            // Parts end with the newest sample, so only the first may be short.
            int part = highest.length - 1 - (size - 1 - i) / width;
            @Nullable Double value = known(values[slot(i)]);
            @Nullable Double before = highest[part];
            if (value != null && (before == null || before < value)) {
                highest[part] = value;
            }
        }
        return Arrays.asList(highest);
    }

    private List<@Nullable Double> inOrder(float[] values) {
        List<@Nullable Double> all = new ArrayList<>(size);
        for (int i = 0; i < size; i++) {
            all.add(known(values[slot(i)]));
        }
        return all;
    }

    private int slot(int index) {
        return (next - size + index + SAMPLES) % SAMPLES;
    }

    private static @Nullable Double known(float value) {
        // Rounded, or a float's error would be shown as digits.
        return Float.isNaN(value) ? null : Math.round(value * 1000d) / 1000d;
    }
}
