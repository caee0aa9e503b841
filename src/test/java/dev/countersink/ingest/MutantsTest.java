package dev.countersink.ingest;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.config.MessageSettings;
import dev.countersink.ingest.message.DecodedMessage;
import dev.countersink.ingest.message.MessageBody;
import dev.countersink.ingest.message.MessageDecoder;
import dev.countersink.ingest.message.Subjects;
import dev.countersink.testing.Eventually;
import io.nats.client.api.PublishAck;
import io.nats.client.impl.Headers;
import io.nats.client.impl.NatsMessage;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;

/**
 * Messages changed at random: each is applied completely or becomes a dead letter with a sentence, and nothing stops.
 * {@code -Dcountersink.mutants=100000} uses more of them, {@code -Dcountersink.seed=N} repeats a run.
 */
class MutantsTest {
    private static final int COUNT = Integer.getInteger("countersink.mutants", 3000);
    private static final int CAPTURES = 500;
    private static final int IN_FLIGHT = 500;
    private static final long HEAP_GROWTH = 64L * 1024 * 1024;
    /** What this test keeps of each besides its payload. */
    private static final long BYTES_OF_A_MUTANT = 500;

    private static final String LEAKS =
            "(?s).*(jackson|JsonParser|StreamRead|java\\.|Exception|getMax|duplicate key|constraint|CONTEXT).*";

    private final MessageDecoder decoder = new MessageDecoder(MessageSettings.defaults());

    private record Dead(String sqlState, String reason) {}

    @Test
    void everyMutantIsAppliedOrADeadLetterWithASentence() throws Exception {
        long seed = Long.getLong("countersink.seed", System.nanoTime());
        System.out.println("MutantsTest: -Dcountersink.seed=" + seed + " -Dcountersink.mutants=" + COUNT);
        Mutants mutants = new Mutants(new Random(seed), CAPTURES);
        try (Rig rig = new Rig()) {
            rig.seed(CAPTURES);
            Ingestor ingestor = rig.ingest();
            long before = used();
            Map<Long, Mutant> sent = publish(rig, mutants);
            Eventually.await(
                    "every message is acked", Duration.ofSeconds(120 + COUNT / 100), rig::left, left -> left == 0);
            long own = sent.values().stream()
                    .mapToLong(mutant -> mutant.payload().length + BYTES_OF_A_MUTANT)
                    .sum();
            assertThat(used() - before - own).as("bytes of heap that stay").isLessThan(HEAP_GROWTH);
            assertThat(sent).hasSize(COUNT);
            check(rig, sent, ingestor.metrics().snapshot().redelivered());
        }
    }

    private static Map<Long, Mutant> publish(Rig rig, Mutants mutants) throws Exception {
        Map<Long, Mutant> sent = new HashMap<>();
        List<Mutant> batch = new ArrayList<>();
        List<CompletableFuture<PublishAck>> acks = new ArrayList<>();
        for (int n = 0; n < COUNT; n++) {
            Mutant mutant = mutants.next();
            Headers headers = new Headers();
            if (mutant.contentEncoding() != null) {
                headers.add("Content-Encoding", mutant.contentEncoding());
            }
            batch.add(mutant);
            acks.add(rig.connection()
                    .jetStream()
                    .publishAsync(NatsMessage.builder()
                            .subject(mutant.subject())
                            .headers(headers)
                            .data(mutant.payload())
                            .build()));
            if (acks.size() == IN_FLIGHT || n == COUNT - 1) {
                for (int i = 0; i < acks.size(); i++) {
                    sent.put(acks.get(i).get().getSeqno(), batch.get(i));
                }
                acks.clear();
                batch.clear();
            }
        }
        return sent;
    }

    /** Each redelivery, which only a very slow machine brings, counts as another attempt at every dead letter of its message. */
    private void check(Rig rig, Map<Long, Mutant> sent, long redelivered) {
        Map<Long, List<Dead>> dead = new HashMap<>();
        for (List<Object> row : rig.rows("SELECT stream_seq, sqlstate, reason, attempts FROM results.dead_letter")) {
            for (int attempt = 0; attempt < (Integer) row.get(3); attempt++) {
                dead.computeIfAbsent((Long) row.get(0), seq -> new ArrayList<>())
                        .add(new Dead((String) row.get(1), (String) row.get(2)));
            }
        }
        dead.values().stream().flatMap(List::stream).forEach(letter -> {
            assertThat(letter.sqlState()).as(letter.reason()).startsWith("RS");
            assertThat(letter.reason()).matches("(?s)[A-Z].*\\.").doesNotMatch(LEAKS);
        });
        Set<String> written = written(rig);
        int applied = 0;
        for (Map.Entry<Long, Mutant> message : sent.entrySet()) {
            Mutant mutant = message.getValue();
            List<DecodedMessage> results = DecodedMessage.decode(
                    decoder,
                    new DecodedMessage.Origin(
                            "RESULTS", message.getKey(), mutant.subject(), mutant.headers(), mutant.payload()));
            int letters = dead.getOrDefault(message.getKey(), List.of()).size();
            long faulty = results.stream().filter(r -> r.fault() != null).count();
            long whole = results.stream()
                    .filter(r -> r.fault() == null && written.containsAll(leaves(r)))
                    .count();
            String text = mutant + " has " + letters + " dead letters: " + dead.get(message.getKey());
            assertThat((long) letters).as(text).isBetween(faulty, results.size() * (1 + redelivered));
            assertThat(whole).as("whole in the tables: %s", text).isGreaterThanOrEqualTo(results.size() - letters);
            applied += results.size() - letters;
        }
        System.out.println("MutantsTest: " + applied + " results applied, "
                + dead.values().stream().mapToInt(List::size).sum() + " dead letters");
        assertThat(applied).isPositive();
        assertThat(dead).isNotEmpty();
        // The tables hold only what accepted messages contain, and no part of a rejected one.
        Set<String> expected = new HashSet<>();
        sent.forEach((seq, mutant) -> DecodedMessage.decode(
                        decoder,
                        new DecodedMessage.Origin("RESULTS", seq, mutant.subject(), mutant.headers(), mutant.payload()))
                .stream()
                .filter(r -> r.fault() == null)
                .forEach(r -> expected.addAll(leaves(r))));
        assertThat(expected).containsAll(written);
    }

    /** The rows that a result writes if it is applied, a line each. */
    private static Set<String> leaves(DecodedMessage message) {
        Set<String> lines = new HashSet<>();
        Long job = Subjects.jobId(message.origin().subject());
        MessageBody.Result result = message.body().result();
        if (result == null) {
            return lines;
        }
        for (MessageBody.Detection d : result.detections()) {
            String box = d.box() == null
                    ? "none"
                    : d.box().x1() + " " + d.box().y1() + " " + d.box().x2() + " "
                            + d.box().y2();
            String key = d.captureId() + "/" + (d.box() == null ? "none " + d.algorithm() : box);
            lines.add("capture " + job + " " + d.captureId());
            // Only the finder's marker may stand for a detection that has neither.
            if (d.box() != null || !d.classifications().isEmpty()) {
                lines.add("detection " + key);
            }
            d.classifications()
                    .forEach(c -> lines.add(
                            "classification " + key + "/" + c.label() + "/" + c.algorithm() + "/" + c.score()));
        }
        if (result.errors() == null) {
            for (long capture : result.sourceImages()) {
                lines.add("capture " + job + " " + capture);
            }
        }
        return lines;
    }

    private static Set<String> written(Rig rig) {
        Set<String> lines = new HashSet<>();
        for (List<Object> row : rig.rows(
                "SELECT 'capture ' || job_id || ' ' || capture_id FROM results.job_capture WHERE status = 'processed'")) {
            lines.add((String) row.get(0));
        }
        for (List<Object> row : rig.rows(
                "SELECT d.capture_id, d.bbox[1], d.bbox[2], d.bbox[3], d.bbox[4], a.key, t.name, ka.key, k.score"
                        + " FROM results.detection d JOIN results.algorithm a ON a.id = d.algorithm_id"
                        + " LEFT JOIN results.classification k ON k.detection_id = d.id LEFT JOIN results.taxon t ON t.id = k.taxon_id"
                        + " LEFT JOIN results.algorithm ka ON ka.id = k.algorithm_id"
                        + " WHERE d.bbox IS NOT NULL OR k.id IS NOT NULL")) {
            String key = row.get(0) + "/"
                    + (row.get(1) == null
                            ? "none " + row.get(5)
                            : row.get(1) + " " + row.get(2) + " " + row.get(3) + " " + row.get(4));
            lines.add("detection " + key);
            if (row.get(6) != null) {
                lines.add("classification " + key + "/" + row.get(6) + "/" + row.get(7) + "/" + row.get(8));
            }
        }
        return lines;
    }

    private static long used() {
        System.gc();
        return Runtime.getRuntime().totalMemory() - Runtime.getRuntime().freeMemory();
    }
}
