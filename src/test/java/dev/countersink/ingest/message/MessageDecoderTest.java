package dev.countersink.ingest.message;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.countersink.ingest.Messages;
import dev.countersink.ingest.message.MessageBody.Box;
import dev.countersink.ingest.message.MessageBody.Classification;
import dev.countersink.ingest.message.MessageBody.Detection;
import io.airlift.compress.zstd.ZstdOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.time.Instant;
import java.util.Arrays;
import java.util.Random;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class MessageDecoderTest {
    private static final long MICROS = 1_000_000;

    private final MessageDecoder decoder = new MessageDecoder(1_000_000);

    @Test
    void aResultIsReadInFull() throws Exception {
        MessageBody decoded = decode("""
                {"pipeline":"p","total_time":1.2,"source_images":[{"id":"101","url":"u"},{"id":102}],"errors":null,
                 "detections":[{"source_image_id":"101","bbox":{"x1":0.5,"y1":1,"x2":2,"y2":-3e0},"inference_time":0.1,
                  "algorithm":{"name":"F","key":"finder"},"timestamp":"2026-04-16T22:00:00Z","crop_image_url":"c.jpg",
                  "classifications":[{"classification":"Vanessa atalanta","labels":["a","b"],"scores":[0.1,0.85,0.05],
                   "logits":[3.5,0.25],"inference_time":null,"algorithm":{"name":"S","key":"species"},"terminal":false,
                   "timestamp":"2026-04-16T22:00:01.5+02:00"}]}]}""");
        assertThat(decoded.error()).isNull();
        assertThat(decoded.replySubject()).isNull();
        assertThat(decoded.result().pipeline()).isEqualTo("p");
        assertThat(decoded.result().sourceImages()).containsExactly(101, 102);
        Detection detection = decoded.result().detections().get(0);
        assertThat(detection.captureId()).isEqualTo(101);
        assertThat(detection.box()).isEqualTo(new Box(0.5, 1, 2, -3));
        assertThat(detection.algorithm()).isEqualTo("finder");
        assertThat(detection.cropUrl()).isEqualTo("c.jpg");
        assertThat(detection.detectedAt()).isEqualTo(micros("2026-04-16T22:00:00Z"));
        Classification classification = detection.classifications().get(0);
        assertThat(classification.label()).isEqualTo("Vanessa atalanta");
        assertThat(classification.algorithm()).isEqualTo("species");
        assertThat(classification.score()).isEqualTo(0.85);
        assertThat(classification.terminal()).isFalse();
        assertThat(classification.scores()).containsExactly(0.1f, 0.85f, 0.05f);
        assertThat(classification.logits()).containsExactly(3.5f, 0.25f);
        assertThat(classification.classifiedAt()).isEqualTo(micros("2026-04-16T20:00:01.500Z"));
    }

    @Test
    void numbersMayBeStringsAndUnknownFieldsArePassedBy() throws Exception {
        MessageBody decoded = decode("""
                {"surprise":{"a":[1,{"b":2}]},"pipeline":"p","source_images":[{"id":" 7 ","x":{}}],"detections":[
                 {"source_image_id":7,"bbox":{"x1":"0","y1":0,"x2":"1.5","y2":"1e1","z":0},"algorithm":{"key":"k"},
                  "timestamp":"2026-04-16T22:00:00","classifications":[{"classification":"a","scores":["0.75"],
                  "algorithm":{"key":"k"},"timestamp":"2026-04-16T22:00:00","new":[]}]}]}""");
        Detection detection = decoded.result().detections().get(0);
        assertThat(decoded.result().sourceImages()).containsExactly(7);
        assertThat(detection.box()).isEqualTo(new Box(0, 0, 1.5, 10));
        assertThat(detection.classifications().get(0).score()).isEqualTo(0.75);
        assertThat(detection.classifications().get(0).terminal()).isTrue();
        assertThat(detection.classifications().get(0).logits()).isNull();
    }

    @Test
    void aDetectionWithoutABoxHasNone() throws Exception {
        String json = "{\"pipeline\":\"p\",\"source_images\":[],\"detections\":[{\"source_image_id\":1,\"bbox\":null,"
                + "\"algorithm\":{\"key\":\"k\"},\"timestamp\":\"2026-04-16T22:00:00\",\"classifications\":[]}]}";
        assertThat(decode(json).result().detections().get(0).box()).isNull();
    }

    @Test
    void anErrorIsReadWithAndWithoutItsImage() throws Exception {
        assertThat(decode("{\"error\":\"out of memory\",\"image_id\":\"12\"}").error())
                .isEqualTo(new MessageBody.ErrorReport(12L, "out of memory"));
        assertThat(decode("{\"error\":\"worker died\"}").error())
                .isEqualTo(new MessageBody.ErrorReport(null, "worker died"));
    }

    @Test
    void anEnvelopeGivesItsReplySubjectInEitherOrder() throws Exception {
        String result = Messages.result(5);
        MessageBody first = decode("{\"reply_subject\":\"a.b\",\"result\":" + result + "}");
        MessageBody last = decode("{\"result\":{\"error\":\"e\"},\"reply_subject\":\"a.b\"}");
        assertThat(first.replySubject()).isEqualTo("a.b");
        assertThat(first.result().sourceImages()).containsExactly(5);
        assertThat(last.replySubject()).isEqualTo("a.b");
        assertThat(last.error().error()).isEqualTo("e");
    }

    @Test
    void theReplySubjectOfABrokenResultIsKept() {
        DecodeException e = fault("{\"reply_subject\":\"a.b\",\"result\":{\"pipeline\":7}}");
        assertThat(e.replySubject()).isEqualTo("a.b");
        assertThat(e.sqlState()).isEqualTo("RS010");
    }

    @Test
    void scoresOfThousandsOfClassesAreRead() throws Exception {
        StringBuilder scores = new StringBuilder("0.000000001");
        for (int i = 1; i < 29_000; i++) {
            scores.append(',').append(i == 20_000 ? "0.9" : "1.25e-05");
        }
        Classification read = decode(withScores(scores.toString()))
                .result()
                .detections()
                .get(0)
                .classifications()
                .get(0);
        assertThat(read.scores()).hasSize(29_000);
        assertThat(read.score()).isEqualTo(0.9);
        assertThat(read.scores()[1]).isEqualTo(1.25e-05f);
    }

    @Test
    void emptyScoresAreRejectedUnderTheirOwnCode() {
        DecodeException e = fault(withScores(""));
        assertThat(e.sqlState()).isEqualTo("RS011");
        assertThat(e).hasMessage("The classification \"Moth\" at /detections/0/classifications/0 has no scores.");
    }

    @ParameterizedTest
    @ValueSource(strings = {"NaN", "Infinity", "1e400", "\"NaN\"", "1e39", "null", "true", "[]", "\"0x1p3\"", "\"1d\""})
    void aScoreThatIsNoFiniteNumberIsUndecodable(String score) {
        assertThat(fault(withScores("0.5," + score)).sqlState()).isEqualTo("RS010");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            {"pipeline":"p","source_images":[],"detections":[{"algorithm":{"key":"k"}}]} | /detections/0 has no source_image_id.
            {"pipeline":"p","source_images":[{"id":"x"}],"detections":[]} | /source_images/0/id is "x", not a whole number of 64 bits.
            {"pipeline":"p","source_images":[{"id":1.5}],"detections":[]} | /source_images/0/id is 1.5, not a whole number.
            {"pipeline":"p","source_images":[{"id":9223372036854775808}],"detections":[]} | /source_images/0/id is 9223372036854775808, not a whole number of 64 bits.
            {"pipeline":"p","source_images":[{}],"detections":[]} | /source_images/0 has no id.
            {"pipeline":"p","detections":[]} | the document has no source_images.
            {"pipeline":"p","source_images":[]} | the document has no detections.
            {"pipeline":"p","source_images":null,"detections":[]} | /source_images is null, not an array.
            {"source_images":[],"detections":[]} | the document has no pipeline.
            {"pipeline":" ","source_images":[],"detections":[]} | /pipeline is " ", not a name.
            {"pipeline":5,"source_images":[],"detections":[]} | /pipeline is 5, not a string.
            {} | the document is neither a result nor an error.
            {"reply_subject":"a","result":null} | the document is neither a result nor an error.
            {"reply_subject":"a b","result":{}} | /reply_subject is "a b", not a subject that can be published to.
            {"error":"a\\u0000b"} | /error is "a\u0000b", a string with a NUL character.
            {"error":"a\\ud800b"} | /error is "a\ud800b", a string with half a character (a surrogate without its pair).
            [] | the document is an array, not an object.
            {"error":"e"} {} | something follows the document.
            """)
    void whatIsWrongIsNamedWithItsPlace(String json, String reason) {
        assertThat(fault(json)).hasMessage("The message cannot be decoded: " + reason);
    }

    @ParameterizedTest
    @CsvSource({
        "2026-04-16T22:00:00, 2026-04-16T22:00:00Z",
        "2026-04-16 22:00:00, 2026-04-16T22:00:00Z",
        "2026-04-16T22:00, 2026-04-16T22:00:00Z",
        "2026-04-16T22:00:00.123456789, 2026-04-16T22:00:00.123456Z",
        "2026-04-16T22:00:00-03:30, 2026-04-17T01:30:00Z",
        "2026-04-16T22:00:00+0200, 2026-04-16T20:00:00Z",
        "2026-04-16T22:00:00+02, 2026-04-16T20:00:00Z",
        "1969-12-31T23:59:59.5Z, 1969-12-31T23:59:59.5Z",
        "0001-01-01T00:00:00Z, 0001-01-01T00:00:00Z",
    })
    void timestampsAreReadInTheirUsualForms(String text, String instant) {
        assertThat(Timestamps.micros(text)).isEqualTo(micros(instant));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "2026",
                "2026-04-16",
                "2026-02-30T00:00:00",
                "2026-04-16T24:00:00",
                "2026-04-16T22:60:00",
                "2026-04-16T22:00:60",
                "2026-04-16T22:00:00.",
                "2026-04-16T22:00:00+2",
                "2026-04-16T22:00:00Zx",
                "yesterday",
                "2026-04-16X22:00:00",
                "99999-04-16T22:00:00"
            })
    void whatIsNoTimestampIsRefused(String text) {
        assertThatThrownBy(() -> Timestamps.micros(text)).isInstanceOf(java.time.DateTimeException.class);
    }

    @Test
    void compressedMessagesAreInflated() throws Exception {
        byte[] plain = Messages.bytes(Messages.usual(101, new Random(1)));
        MessageBody expected = decoder.decode(plain, null);
        for (String encoding : new String[] {"gzip", "GZIP", "zstd", "identity", ""}) {
            MessageBody decoded = decoder.decode(compressed(plain, encoding), encoding);
            assertThat(decoded.result().detections())
                    .hasSameSizeAs(expected.result().detections());
        }
        assertThat(catchThrowableOfType(DecodeException.class, () -> decoder.decode(plain, "br")))
                .hasMessage("The message cannot be decoded: its Content-Encoding is \"br\";"
                        + " gzip, zstd and none are understood.");
        assertThat(catchThrowableOfType(DecodeException.class, () -> decoder.decode(plain, "gzip")))
                .isNotNull();
    }

    @ParameterizedTest
    @ValueSource(strings = {"gzip", "zstd"})
    void aMessageThatInflatesWithoutBoundIsRefused(String encoding) throws Exception {
        byte[] bomb = new byte[2_000_000];
        Arrays.fill(bomb, (byte) ' ');
        byte[] small = compressed(bomb, encoding);
        assertThat(catchThrowableOfType(DecodeException.class, () -> decoder.decode(small, encoding)))
                .hasMessage("The message cannot be decoded: it inflates to more than 1000000 bytes.");
    }

    /** Truncations and random changes of bytes: read, or a DecodeException, never anything else. */
    @Test
    void garbageNeverRaisesAnythingElse() throws Exception {
        long seed = Long.getLong("seed", System.nanoTime());
        System.out.println("garbageNeverRaisesAnythingElse: -Dseed=" + seed);
        Random random = new Random(seed);
        String[] encodings = {null, "gzip", "zstd"};
        int broken = 0;
        for (int round = 0; round < 5_000; round++) {
            String encoding = encodings[random.nextInt(encodings.length)];
            byte[] sound = Messages.bytes(Messages.usual(round, random));
            byte[] bytes = mutated(encoding == null ? sound : compressed(sound, encoding), random);
            try {
                decoder.decode(bytes, encoding);
            } catch (DecodeException e) {
                assertThat(e.getMessage()).isNotBlank();
                broken++;
            }
        }
        assertThat(broken).isPositive();
    }

    private static byte[] mutated(byte[] bytes, Random random) {
        byte[] result = random.nextBoolean() ? Arrays.copyOf(bytes, random.nextInt(bytes.length + 1)) : bytes.clone();
        for (int i = random.nextInt(4); i > 0 && result.length > 0; i--) {
            String likely = "{}[]\",:0123456789eE+-.\\untfls ";
            byte value = random.nextBoolean()
                    ? (byte) random.nextInt(256)
                    : (byte) likely.charAt(random.nextInt(likely.length()));
            result[random.nextInt(result.length)] = value;
        }
        return result;
    }

    private static byte[] compressed(byte[] plain, String encoding) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (OutputStream out = switch (encoding.toLowerCase(java.util.Locale.ROOT)) {
            case "gzip" -> new GZIPOutputStream(bytes);
            case "zstd" -> new ZstdOutputStream(bytes);
            default -> bytes;
        }) {
            out.write(plain);
        }
        return bytes.toByteArray();
    }

    private static String withScores(String scores) {
        return Messages.result(
                1,
                Messages.detection(
                        1,
                        1,
                        "{\"classification\":\"Moth\",\"scores\":[" + scores
                                + "],\"algorithm\":{\"key\":\"s\"},\"timestamp\":\"2026-04-16T22:00:00\"}"));
    }

    private static long micros(String instant) {
        Instant at = Instant.parse(instant);
        return at.getEpochSecond() * MICROS + at.getNano() / 1000;
    }

    private MessageBody decode(String json) throws DecodeException {
        return decoder.decode(Messages.bytes(json), null);
    }

    private DecodeException fault(String json) {
        return catchThrowableOfType(DecodeException.class, () -> decode(json));
    }
}
