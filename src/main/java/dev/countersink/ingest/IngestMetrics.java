package dev.countersink.ingest;

import dev.countersink.ingest.message.Subjects;
import dev.countersink.ingest.nats.Delivery;
import dev.countersink.ingest.nats.StreamWatcher;
import dev.countersink.meters.Readings;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.Timer;
import io.micrometer.core.instrument.distribution.ValueAtPercentile;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.time.Duration;
import java.time.Instant;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** Counts finished messages, and measures the time from publication to commit. Thread-safe. */
public final class IngestMetrics {
    private static final double MEDIAN = 0.5;
    private static final double P99 = 0.99;
    /** Jobs that have metrics of their own. */
    private static final int MOST_MEASURED = 100;

    private static final Duration EVER = Duration.ofDays(3650);

    private final Timer recent;
    private final Timer ever;
    private final AtomicLong messages = new AtomicLong();
    private final AtomicLong batches = new AtomicLong();
    private final AtomicLong deadLetters = new AtomicLong();
    private final AtomicLong redelivered = new AtomicLong();
    private final Rate rate = new Rate();
    private final Map<String, Rate> rates = new ConcurrentHashMap<>();
    private final Outage outage = new Outage();
    private final Readings jobBacklog;
    private final Readings jobOldest;
    private volatile int held;
    private volatile long heldBytes;
    private volatile List<StreamWatcher.Subject> subjects = List.of();
    private volatile Map<String, Instant> oldest = Map.of();
    private volatile @Nullable String problem;
    private volatile @Nullable String refusal;

    /** @param registry gets the metrics; histograms of several instances can be added up */
    public IngestMetrics(MeterRegistry registry) {
        this.recent = Timer.builder("countersink.ingest.commit")
                .description("from the publication of a message to its commit")
                .publishPercentileHistogram()
                .publishPercentiles(MEDIAN, P99)
                .distributionStatisticExpiry(Duration.ofMinutes(1))
                .register(registry);
        this.ever = Timer.builder("ever")
                .publishPercentiles(MEDIAN, P99)
                .distributionStatisticExpiry(EVER)
                .distributionStatisticBufferLength(1)
                .register(new SimpleMeterRegistry());
        FunctionCounter.builder("countersink.ingest.messages", messages, AtomicLong::get)
                .description("messages that are finished: applied, or a dead letter, and committed")
                .register(registry);
        FunctionCounter.builder("countersink.ingest.batches", batches, AtomicLong::get)
                .description("batches that were committed")
                .register(registry);
        FunctionCounter.builder("countersink.ingest.dead.letters", deadLetters, AtomicLong::get)
                .description("messages that became a dead letter")
                .register(registry);
        FunctionCounter.builder("countersink.ingest.redelivered", redelivered, AtomicLong::get)
                .description("messages that were delivered more than once")
                .register(registry);
        Gauge.builder("countersink.ingest.backlog", this, IngestMetrics::backlog)
                .description("messages in the stream, for all instances together")
                .register(registry);
        Gauge.builder("countersink.ingest.held", this, metrics -> metrics.held)
                .description("messages in the memory of this instance")
                .register(registry);
        Gauge.builder("countersink.ingest.stalled.seconds", this, IngestMetrics::longestStall)
                .description("how long the job that waits longest has had messages of which nobody finished any")
                .register(registry);
        Gauge.builder("countersink.ingest.oldest.seconds", this, IngestMetrics::oldestSeconds)
                .description("time since the oldest message in the stream was published, for all instances together")
                .register(registry);
        jobBacklog = new Readings(
                registry,
                "countersink.ingest.job.backlog",
                "messages of a job in the stream; of the 100 jobs that have most",
                "messages");
        jobOldest = new Readings(
                registry,
                "countersink.ingest.job.oldest.age",
                "time since the oldest message of a job was published, of the same jobs",
                "seconds");
        Gauge.builder("countersink.ingest.blocked", outage, o -> o.reason() == null ? 0 : 1)
                .description("1 while the database accepts no batches")
                .register(registry);
    }

    /** For an instance whose metrics nobody collects. */
    public static IngestMetrics unregistered() {
        return new IngestMetrics(new SimpleMeterRegistry());
    }

    Outage outage() {
        return outage;
    }

    int dead(int count) {
        deadLetters.addAndGet(count);
        return count;
    }

    void holding(int count, long bytes) {
        held = count;
        heldBytes = bytes;
    }

    /** @param found null if unknown */
    void looked(@Nullable List<StreamWatcher.Subject> found, @Nullable String why) {
        if (found != null) {
            subjects = List.copyOf(found);
            rates.keySet()
                    .retainAll(found.stream().map(StreamWatcher.Subject::name).collect(Collectors.toSet()));
        }
        problem = why;
    }

    /**
     * What is known of the oldest messages.
     *
     * @param published when that of each subject was published
     */
    void oldest(Map<String, Instant> published) {
        oldest = Map.copyOf(published);
        Map<Tags, Double> backlogs = new LinkedHashMap<>();
        Map<Tags, Double> ages = new LinkedHashMap<>();
        Instant now = Instant.now();
        subjects.stream()
                .filter(subject -> Subjects.jobId(subject.name()) != null)
                .sorted(Comparator.comparingLong(StreamWatcher.Subject::messages)
                        .reversed()
                        .thenComparing(StreamWatcher.Subject::name))
                .limit(MOST_MEASURED)
                .forEach(subject -> {
                    Tags job = Tags.of("job", String.valueOf(Subjects.jobId(subject.name())));
                    backlogs.put(job, (double) subject.messages());
                    Long age = age(subject.name(), now);
                    if (age != null) {
                        ages.put(job, (double) age);
                    }
                });
        jobBacklog.set(backlogs);
        jobOldest.set(ages);
    }

    /** The subjects that have messages. */
    List<String> subjects() {
        return subjects.stream().map(StreamWatcher.Subject::name).toList();
    }

    /** In seconds. The clocks of the two servers may differ. */
    private @Nullable Long age(String subject, Instant now) {
        Instant published = oldest.get(subject);
        return published == null
                ? null
                : (Long) Math.max(0, Duration.between(published, now).toSeconds());
    }

    private double oldestSeconds() {
        Long age = age(Subjects.ALL, Instant.now());
        return age != null ? age : subjects.isEmpty() ? 0 : Double.NaN;
    }

    void refused(@Nullable String why) {
        refusal = why;
    }

    /** Why what is published to the stream does not come to this database, as a sentence; null if it does. */
    public @Nullable String refusal() {
        return refusal;
    }

    void committed(List<Delivery> batch) {
        long now = System.currentTimeMillis();
        for (Delivery delivery : batch) {
            long micros = Math.max(0, now * 1000 - delivery.publishedMicros());
            recent.record(micros, TimeUnit.MICROSECONDS);
            ever.record(micros, TimeUnit.MICROSECONDS);
            rates.computeIfAbsent(delivery.subject(), subject -> new Rate()).add(now, 1);
            if (delivery.deliveries() > 1) {
                redelivered.incrementAndGet();
            }
        }
        messages.addAndGet(batch.size());
        batches.incrementAndGet();
        rate.add(now, batch.size());
    }

    /** Messages in the stream when it was last read, with those in work. */
    public long backlog() {
        return subjects.stream().mapToLong(StreamWatcher.Subject::messages).sum();
    }

    private double longestStall() {
        return subjects.stream()
                        .mapToLong(StreamWatcher.Subject::stalledNanos)
                        .max()
                        .orElse(0)
                / 1e9;
    }

    /** How many messages this instance has finished. It costs nothing, unlike {@link #snapshot}. */
    public long messages() {
        return messages.get();
    }

    public IngestSnapshot snapshot() {
        long now = System.currentTimeMillis();
        ValueAtPercentile[] lately = recent.takeSnapshot().percentileValues();
        ValueAtPercentile[] always = ever.takeSnapshot().percentileValues();
        boolean none = messages.get() == 0;
        return new IngestSnapshot(
                messages.get(),
                batches.get(),
                deadLetters.get(),
                redelivered.get(),
                rate.perSecond(now),
                millis(lately[0], none),
                millis(lately[1], none),
                millis(always[0], none),
                millis(always[1], none),
                held,
                heldBytes,
                backlog(),
                subjects.isEmpty() ? null : age(Subjects.ALL, Instant.now()),
                outage.reason(),
                problem,
                subjects.stream().map(subject -> job(subject, now)).toList());
    }

    private static double millis(ValueAtPercentile value, boolean none) {
        double millis = value.value(TimeUnit.MILLISECONDS);
        return none || millis == 0 ? Double.NaN : millis;
    }

    private IngestSnapshot.Job job(StreamWatcher.Subject subject, long now) {
        Rate finished = rates.get(subject.name());
        double perSecond = finished == null ? 0 : finished.perSecond(now);
        return new IngestSnapshot.Job(
                subject.name(),
                Subjects.jobId(subject.name()),
                subject.messages(),
                subject.open(),
                perSecond,
                perSecond == 0 ? null : (Long) Math.round(subject.messages() / perSecond),
                TimeUnit.NANOSECONDS.toSeconds(subject.stalledNanos()),
                age(subject.name(), Instant.ofEpochMilli(now)));
    }
}
