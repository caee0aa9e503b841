package dev.countersink.ingest;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.config.MessageSettings;
import dev.countersink.db.Database;
import dev.countersink.digest.Sha256;
import dev.countersink.ingest.message.DecodedMessage;
import dev.countersink.ingest.message.MessageBody;
import dev.countersink.ingest.message.MessageDecoder;
import dev.countersink.ingest.message.Subjects;
import dev.countersink.testing.Eventually;
import io.nats.client.JetStream;
import io.nats.client.api.PublishAck;
import io.nats.client.impl.Headers;
import io.nats.client.impl.NatsMessage;
import java.nio.ByteBuffer;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import java.util.function.Supplier;
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
    private static final int ROWS_AT_ONCE = 1000;

    private static final String LEAKS =
            "(?s).*(jackson|JsonParser|StreamRead|java\\.|Exception|getMax|duplicate key|constraint|CONTEXT).*";

    private final MessageDecoder decoder = new MessageDecoder(MessageSettings.defaults());

    private record Dead(String sqlState, String reason) {}

    @Test
    void everyMutantIsAppliedOrADeadLetterWithASentence() throws Exception {
        long seed = Long.getLong("countersink.seed", System.nanoTime());
        System.out.println("MutantsTest: -Dcountersink.seed=" + seed + " -Dcountersink.mutants=" + COUNT);
        try (Rig rig = new Rig()) {
            rig.seed(CAPTURES);
            Ingestor ingestor = rig.ingest();
            long before = used();
            publish(rig, mutants(seed));
            Eventually.await(
                    "every message is acked", Duration.ofSeconds(120 + COUNT / 50), rig::left, left -> left == 0);
            long after = used();
            System.out.println("MutantsTest: heap " + before / 1024 + " KB before, " + after / 1024 + " KB after, of "
                    + Runtime.getRuntime().maxMemory() / 1024 + " KB");
            assertThat(after - before).as("bytes of heap that stay").isLessThan(HEAP_GROWTH);
            check(rig, mutants(seed), ingestor.metrics().snapshot().redelivered());
        }
    }

    /** The same ones for the same seed, so that none has to be kept. */
    private static Mutants mutants(long seed) {
        return new Mutants(new Random(seed), CAPTURES);
    }

    /** Publishes them; the n-th gets the sequence number n. */
    private static void publish(Rig rig, Mutants mutants) throws Exception {
        JetStream stream = rig.connection().jetStream();
        List<CompletableFuture<PublishAck>> acks = new ArrayList<>();
        for (long n = 1; n <= COUNT; n++) {
            Mutant mutant = mutants.next();
            Headers headers = new Headers();
            if (mutant.contentEncoding() != null) {
                headers.add("Content-Encoding", mutant.contentEncoding());
            }
            acks.add(stream.publishAsync(NatsMessage.builder()
                    .subject(mutant.subject())
                    .headers(headers)
                    .data(mutant.payload())
                    .build()));
            if (acks.size() == IN_FLIGHT || n == COUNT) {
                long sequence = n - acks.size();
                for (CompletableFuture<PublishAck> ack : acks) {
                    assertThat(ack.get().getSeqno()).isEqualTo(++sequence);
                }
                acks.clear();
            }
        }
    }

    /** Each redelivery, which only a very slow machine brings, counts as another attempt at every dead letter of its message. */
    private void check(Rig rig, Mutants mutants, long redelivered) throws Exception {
        Digests written = new Digests();
        eachWritten(rig, written::add);
        // The tables hold only what accepted messages contain, and no part of a rejected one.
        Digests expected = new Digests();
        long applied = 0;
        try (DeadLetters dead = new DeadLetters(rig)) {
            for (long sequence = 1; sequence <= COUNT; sequence++) {
                applied += checkOne(mutants.next(), sequence, dead.of(sequence), redelivered, written, expected);
            }
            System.out.println("MutantsTest: " + applied + " results applied, " + dead.count + " dead letters");
            assertThat(applied).isPositive();
            assertThat(dead.count).isPositive();
            assertThat(dead.ended()).as("no dead letter of another message").isTrue();
        }
        eachWritten(rig, line -> assertThat(expected.contains(line)).as(line).isTrue());
    }

    private long checkOne(
            Mutant mutant, long sequence, List<Dead> letters, long redelivered, Digests written, Digests expected) {
        for (Dead letter : letters) {
            assertThat(letter.sqlState()).as(letter.reason()).startsWith("RS");
            assertThat(letter.reason()).matches("(?s)[A-Z].*\\.").doesNotMatch(LEAKS);
        }
        List<DecodedMessage> results = DecodedMessage.decode(
                decoder,
                new DecodedMessage.Origin("RESULTS", sequence, mutant.subject(), mutant.headers(), mutant.payload()));
        long faulty = 0;
        long whole = 0;
        for (DecodedMessage result : results) {
            if (result.fault() != null) {
                faulty++;
                continue;
            }
            Set<String> leaves = leaves(result);
            leaves.forEach(expected::add);
            whole += leaves.stream().allMatch(written::contains) ? 1 : 0;
        }
        Supplier<String> text = () -> mutant + " has " + letters.size() + " dead letters: " + letters;
        assertThat((long) letters.size()).as(text).isBetween(faulty, results.size() * (1 + redelivered));
        assertThat(whole).as(text).isGreaterThanOrEqualTo(results.size() - letters.size());
        return results.size() - letters.size();
    }

    /** The dead letters of one message after the other, in their order. */
    private static final class DeadLetters implements AutoCloseable {
        private final Connection connection;
        private final ResultSet rows;
        private boolean any;
        private long count;

        DeadLetters(Rig rig) throws SQLException {
            connection = Database.connect(rig.database());
            connection.setAutoCommit(false);
            Statement statement = connection.createStatement();
            statement.setFetchSize(ROWS_AT_ONCE);
            rows = statement.executeQuery(
                    "SELECT stream_seq, sqlstate, reason, attempts FROM results.dead_letter ORDER BY stream_seq, id");
            any = rows.next();
        }

        /** Each attempt counts. */
        List<Dead> of(long sequence) throws SQLException {
            List<Dead> letters = new ArrayList<>();
            for (; any && rows.getLong(1) == sequence; any = rows.next()) {
                letters.addAll(Collections.nCopies(rows.getInt(4), new Dead(rows.getString(2), rows.getString(3))));
            }
            count += letters.size();
            return letters;
        }

        boolean ended() {
            return !any;
        }

        @Override
        public void close() throws SQLException {
            connection.close();
        }
    }

    /** Many lines in little memory: of each only 64 bits. */
    private static final class Digests {
        private long[] digests = new long[1024];
        private int size;
        private boolean sorted;

        void add(String line) {
            if (size == digests.length) {
                sort();
                digests = size > digests.length / 2 ? Arrays.copyOf(digests, 2 * digests.length) : digests;
            }
            digests[size++] = digest(line);
            sorted = false;
        }

        boolean contains(String line) {
            sort();
            return Arrays.binarySearch(digests, 0, size, digest(line)) >= 0;
        }

        private void sort() {
            if (sorted) {
                return;
            }
            Arrays.sort(digests, 0, size);
            int kept = 0;
            for (int i = 0; i < size; i++) {
                if (i == 0 || digests[i] != digests[i - 1]) {
                    digests[kept++] = digests[i];
                }
            }
            size = kept;
            sorted = true;
        }

        private static long digest(String line) {
            return ByteBuffer.wrap(Sha256.of(line)).getLong();
        }
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

    /** The same lines, of the rows in the tables. */
    private static void eachWritten(Rig rig, Consumer<String> line) throws SQLException {
        try (Connection connection = Database.connect(rig.database());
                Statement statement = connection.createStatement()) {
            connection.setAutoCommit(false);
            statement.setFetchSize(ROWS_AT_ONCE);
            try (ResultSet row = statement.executeQuery(
                    "SELECT job_id, capture_id FROM results.job_capture WHERE status = 'processed'")) {
                while (row.next()) {
                    line.accept("capture " + row.getLong(1) + " " + row.getLong(2));
                }
            }
            try (ResultSet row = statement.executeQuery(
                    "SELECT d.capture_id, d.bbox[1], d.bbox[2], d.bbox[3], d.bbox[4], a.key, t.name, ka.key, k.score"
                            + " FROM results.detection d JOIN results.algorithm a ON a.id = d.algorithm_id"
                            + " LEFT JOIN results.classification k ON k.detection_id = d.id LEFT JOIN results.taxon t ON t.id = k.taxon_id"
                            + " LEFT JOIN results.algorithm ka ON ka.id = k.algorithm_id"
                            + " WHERE d.bbox IS NOT NULL OR k.id IS NOT NULL")) {
                while (row.next()) {
                    String key = row.getLong(1) + "/"
                            + (row.getObject(2) == null
                                    ? "none " + row.getString(6)
                                    : row.getDouble(2) + " " + row.getDouble(3) + " " + row.getDouble(4) + " "
                                            + row.getDouble(5));
                    line.accept("detection " + key);
                    if (row.getString(7) != null) {
                        line.accept("classification " + key + "/" + row.getString(7) + "/" + row.getString(8) + "/"
                                + row.getDouble(9));
                    }
                }
            }
        }
    }

    private static long used() {
        System.gc();
        return Runtime.getRuntime().totalMemory() - Runtime.getRuntime().freeMemory();
    }
}
