package dev.countersink.bench.ingest;

import dev.countersink.bench.BenchDatabase;
import dev.countersink.bench.engine.Figure;
import java.lang.management.ManagementFactory;
import java.lang.management.MemoryPoolMXBean;
import java.lang.management.MemoryType;
import java.lang.management.MemoryUsage;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Random;

/** Scores of large classifiers. */
final class LargeMessages implements Scenario {
    private static final double MEGABYTE = 1e6;
    private static final int DETECTIONS = 5;

    @Override
    public String name() {
        return "large";
    }

    @Override
    public String does() {
        return "Messages of 5 detections with scores and logits of 2,500 classes (0.5 MB, 400 of them), and of 29,000 classes (6 MB, 60 of them), to the last commit. "
                + "Memory is what the heap held at most after a collection of the old generation, and the most it ever held, garbage included, with the -Xmx of the command.";
    }

    @Override
    public int captures(Lab lab) {
        return lab.scaled(400, 4);
    }

    @Override
    public List<Figure> run(Lab lab) throws Exception {
        List<Figure> figures = new ArrayList<>();
        figures.add(measure(lab, lab.scaled(400, 4), 2_500));
        figures.add(measure(lab, lab.scaled(60, 2), 29_000));
        return figures;
    }

    private static Figure measure(Lab lab, int messages, int classes) throws Exception {
        BenchDatabase database = lab.database();
        String numbers = numbers(classes);
        long bytes = 0;
        for (int i = 1; i <= messages; i++) {
            String message = message(i, numbers);
            bytes += message.length();
            lab.publish(1, message);
        }
        lab.awaitStored();
        heap().forEach(MemoryPoolMXBean::resetPeakUsage);
        System.gc();
        try (Instance instance = lab.instance(database, 0).start()) {
            instance.awaitCommitted(messages);
            double seconds = instance.seconds();
            long stored = instance.number("(SELECT count(*) FROM results.classification)");
            if (stored != (long) messages * DETECTIONS) {
                throw new IllegalStateException(stored + " classifications are stored");
            }
            return Figure.only(
                    String.format(Locale.ROOT, "%d messages of %.1f MB", messages, bytes / MEGABYTE / messages),
                    String.format(
                            Locale.ROOT,
                            "%.1f s, %.1f MB/s; heap at most %.0f MB, %.0f MB with garbage, of %.0f MB",
                            seconds,
                            bytes / MEGABYTE / seconds,
                            most(true) / MEGABYTE,
                            most(false) / MEGABYTE,
                            Runtime.getRuntime().maxMemory() / MEGABYTE));
        } finally {
            database.drop();
        }
    }

    private static List<MemoryPoolMXBean> heap() {
        return ManagementFactory.getMemoryPoolMXBeans().stream()
                .filter(pool -> pool.getType() == MemoryType.HEAP)
                .toList();
    }

    private static long most(boolean collected) {
        return heap().stream()
                .map(pool -> collected ? pool.getCollectionUsage() : pool.getPeakUsage())
                .filter(usage -> usage != null)
                .mapToLong(MemoryUsage::getUsed)
                .sum();
    }

    private static String numbers(int classes) {
        Random random = new Random(classes);
        StringBuilder numbers = new StringBuilder();
        for (int i = 0; i < classes; i++) {
            numbers.append(i == 0 ? "" : ",").append(String.format(Locale.ROOT, "%.16f", random.nextDouble()));
        }
        return numbers.toString();
    }

    private static String message(int capture, String numbers) {
        StringBuilder json = new StringBuilder("{\"pipeline\":\"moths\",\"source_images\":[{\"id\":\"")
                .append(capture)
                .append("\"}],\"detections\":[");
        for (int i = 0; i < DETECTIONS; i++) {
            json.append(i == 0 ? "" : ",")
                    .append("{\"source_image_id\":\"")
                    .append(capture)
                    .append("\",\"bbox\":{\"x1\":")
                    .append(i)
                    .append(",\"y1\":0,\"x2\":50,\"y2\":50},\"algorithm\":{\"key\":\"finder\"},")
                    .append("\"timestamp\":\"2026-06-01T22:00:00Z\",\"classifications\":[{\"classification\":")
                    .append("\"Genus 1 species 1\",\"algorithm\":{\"key\":\"species\"},")
                    .append("\"timestamp\":\"2026-06-01T22:00:00Z\",\"scores\":[")
                    .append(numbers)
                    .append("],\"logits\":[")
                    .append(numbers)
                    .append("]}]}");
        }
        return json.append("]}").toString();
    }
}
