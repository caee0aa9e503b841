package dev.countersink.ingest.message;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.countersink.config.MessageSettings;
import dev.countersink.ingest.Messages;
import dev.countersink.ingest.message.MessageBody.Box;
import dev.countersink.ingest.message.MessageBody.Classification;
import dev.countersink.ingest.message.MessageBody.Detection;
import io.airlift.compress.zstd.ZstdOutputStream;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.util.unit.DataSize;

class MessageDecoderTest {
    private static final long MICROS = 1_000_000;

    private final MessageDecoder decoder = new MessageDecoder(settings(DataSize.ofMegabytes(64), 1_000_000, 30_000));

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
        assertThat(classification.scores().values()).containsExactly(0.1f, 0.85f, 0.05f);
        assertThat(classification.logits().values()).containsExactly(3.5f, 0.25f);
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
        assertThat(detection.classifications().get(0).logits().values()).isNull();
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
    void anErrorCountsWhateverElseItsDocumentHolds() throws Exception {
        for (String json : new String[] {
            "{\"pipeline\":\"p\",\"source_images\":[{\"id\":1}],\"detections\":[],\"error\":\"e\",\"image_id\":\"\"}",
            "{\"error\":[\"e\"],\"pipeline\":5,\"detections\":[{\"bbox\":[[{}]]}],\"image_id\":null}",
            "{\"detections\":{\"a\":[1,{\"b\":2}]},\"error\":\"e\",\"source_images\":[{\"id\":\"x\"}]}"
        }) {
            assertThat(decode(json).error()).as(json).isEqualTo(new MessageBody.ErrorReport(null, "e"));
        }
        assertThat(decode("{\"error\":{\"code\":[1,\"a\\\"b\",null],\"why\":{}}}")
                        .error()
                        .error())
                .isEqualTo("{\"code\":[1,\"a\\\"b\",null],\"why\":{}}");
        assertThat(decode("{\"error\":\"\"}").error()).isEqualTo(new MessageBody.ErrorReport(null, ""));
        // A result may explicitly have no error.
        for (String none : new String[] {"null", "\"\"", "[]", "[null,\" \"]"}) {
            assertThat(decode(Messages.result(5).replace("[]}", "[],\"error\":" + none + "}"))
                            .result())
                    .as(none)
                    .isNotNull();
        }
        assertThat(decode(Messages.result(5).replace("[]}", "[],\"image_id\":[{}]}"))
                        .result())
                .isNotNull();
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', nullValues = "none", textBlock = """
            "too dark" | too dark
            ["a", null, " ", "b"] | a; b
            [{"image_id":1,"error":"x"}, 7] | {"image_id":1,"error":"x"}; 7
            {"a":[true,false]} | {"a":[true,false]}
            [] | none
            "" | none
            null | none
            """)
    void errorsOfAResultAreOneText(String json, String text) throws Exception {
        assertThat(decode(Messages.result(5).replace("[]}", "[],\"errors\":" + json + "}"))
                        .result()
                        .errors())
                .isEqualTo(text);
    }

    @Test
    void severalResultsAreReadFromAListWithTheirPlaces() throws Exception {
        String error = "{\"error\":\"e\"}";
        String results = "[" + Messages.result(1) + ", {\"pipeline\":[[{}]]} ,7,{\"reply_subject\":\"a.b\",\"result\":"
                + error + "},[{}],\n" + Messages.result(2) + "]";
        for (String[] form : new String[][] {
            {results, ""},
            {"\ufeff" + results, ""},
            {"{\"results\":" + results + "}", "/results"},
            {"{\"version\":1,\"results\":" + results + ",\"more\":{}}", "/results"},
            {"{\"result\":" + results + "}", "/result"}
        }) {
            for (String encoding : new String[] {"", "gzip", "zstd"}) {
                byte[] plain = Messages.bytes(form[0]);
                byte[] payload = compressed(plain, encoding);
                List<DecodedResult> read = decoder.decode(() -> new ByteArrayInputStream(payload), encoding);
                assertThat(read)
                        .extracting(DecodedResult::place)
                        .containsExactly(
                                form[1] + "/0",
                                form[1] + "/1",
                                form[1] + "/2",
                                form[1] + "/3",
                                form[1] + "/4",
                                form[1] + "/5");
                assertThat(read.get(0).body().result().sourceImages()).containsExactly(1);
                assertThat(read.get(1).fault())
                        .hasMessage(
                                "The message cannot be decoded: " + form[1] + "/1/pipeline is an array, not a string.");
                assertThat(read.get(2).fault())
                        .hasMessage("The message cannot be decoded: " + form[1] + "/2 is 7, not an object.");
                assertThat(read.get(3).body().error().error()).isEqualTo("e");
                assertThat(read.get(3).body().replySubject()).isEqualTo("a.b");
                assertThat(read.get(4).fault())
                        .hasMessage("The message cannot be decoded: " + form[1] + "/4 is an array, not an object.");
                assertThat(read.get(5).body().result().sourceImages()).containsExactly(2);
                assertThat(read.stream()
                                .map(r -> new String(
                                        plain,
                                        (int) r.bytes().from(),
                                        (int) (r.bytes().to() - r.bytes().from()),
                                        UTF_8)))
                        .containsExactly(
                                Messages.result(1),
                                "{\"pipeline\":[[{}]]}",
                                "7",
                                "{\"reply_subject\":\"a.b\",\"result\":" + error + "}",
                                "[{}]",
                                Messages.result(2));
            }
        }
    }

    @Test
    void theReplySubjectOfAListIsThatOfItsFirst() throws Exception {
        for (String json : new String[] {
            "{\"reply_subject\":\"a.b\",\"results\":[{\"error\":\"e\"},{\"error\":\"f\"}]}",
            "{\"result\":[{\"pipeline\":7},{\"error\":\"f\"}],\"reply_subject\":\"a.b\"}"
        }) {
            byte[] payload = Messages.bytes(json);
            List<DecodedMessage> read =
                    DecodedMessage.decode(decoder, new DecodedMessage.Origin("S", 1, "results.1", Map.of(), payload));
            assertThat(read).extracting(DecodedMessage::replySubject).containsExactly("a.b", null);
        }
    }

    @Test
    void aDeadLetterOfAListHoldsTheResultAlone() throws Exception {
        byte[] payload = compressed(Messages.bytes("[{\"error\":\"e\"}, {\"pipeline\":7}]"), "gzip");
        List<DecodedMessage> read = DecodedMessage.decode(
                decoder,
                new DecodedMessage.Origin(
                        "S", 1, "results.1", Map.of("content-encoding", List.of("gzip"), "X", List.of("y")), payload));
        DecodedMessage.Origin letter = read.get(1).letter();
        assertThat(letter.payload()).asString(UTF_8).isEqualTo("{\"pipeline\":7}");
        assertThat(letter.headers()).isEqualTo(Map.of("X", List.of("y")));
        assertThat(read.get(1).explain("There is no capture 5.")).isEqualTo("The result at /1: There is no capture 5.");
    }

    @ParameterizedTest
    @CsvSource({
        "true,true",
        "1,true",
        "\"True\",true",
        "\"1\",true",
        "false,false",
        "0,false",
        "\"FALSE\",false",
        "null,true"
    })
    void booleansComeInSeveralForms(String json, boolean value) throws Exception {
        assertThat(first(withField("terminal", json)).terminal()).isEqualTo(value);
    }

    @ParameterizedTest
    @ValueSource(strings = {"2", "\"yes\"", "1.0", "[]", "\"\""})
    void whatIsNoBooleanIsRefused(String json) {
        assertThat(fault(withField("terminal", json))).hasMessageEndingWith(", neither true nor false.");
    }

    @ParameterizedTest
    @CsvSource({
        "1776376800, 2026-04-16T22:00:00Z",
        "1776376800.25, 2026-04-16T22:00:00.250Z",
        "1.7763768e9, 2026-04-16T22:00:00Z",
        "\"1776376800.25\", 2026-04-16T22:00:00.250Z",
        "\"2026-04-16\", 2026-04-16T00:00:00Z",
        "-1, 1969-12-31T23:59:59Z",
        "0, 1970-01-01T00:00:00Z"
    })
    void timestampsMayBeSecondsSince1970(String json, String instant) throws Exception {
        assertThat(first(withField("timestamp", json)).classifiedAt()).isEqualTo(micros(instant));
    }

    @ParameterizedTest
    @ValueSource(strings = {"1776376800000", "1e300", "NaN", "\"2026\"", "true", "\"123456789x\"", "-99999999999999"})
    void whatIsNoTimestampInAMessageIsRefused(String json) {
        assertThat(fault(withField("timestamp", json)))
                .hasMessageEndingWith(", not a timestamp (ISO 8601, or seconds since 1970).");
    }

    @Test
    void logitsThatAreNoFiniteNumbersAreKept() throws Exception {
        float[] logits = first(
                        withField("logits", "[NaN,Infinity,-Infinity,\"nan\",\"-inf\",\"Infinity\",null,\"1.5\",2]"))
                .logits()
                .values();
        float infinity = Float.POSITIVE_INFINITY;
        assertThat(logits)
                .containsExactly(Float.NaN, infinity, -infinity, Float.NaN, -infinity, infinity, Float.NaN, 1.5f, 2f);
        for (String bad : new String[] {"[1e39]", "[1e400]", "[\"1e400\"]", "[\"many\"]", "[true]", "[[1]]"}) {
            assertThat(fault(withField("logits", bad)).sqlState()).as(bad).isEqualTo("RS010");
        }
    }

    @Test
    void ofManyScoresTheHighestMayBeKept() throws Exception {
        Random random = new Random(Long.getLong("seed", 11));
        for (int round = 0; round < 200; round++) {
            int length = 1 + random.nextInt(60);
            float[] scores = new float[length];
            for (int i = 0; i < length; i++) {
                scores[i] = random.nextInt(20) / 16f;
            }
            int top = 1 + random.nextInt(20);
            MessageDecoder some = new MessageDecoder(new MessageSettings(
                    DataSize.ofMegabytes(64), 1000, 1000, DataSize.ofMegabytes(1), "top-" + top, "none"));
            String json = withScores(Arrays.toString(scores).replaceAll("[\\[\\]]", ""))
                    .replace("\"algorithm\":{\"key\":\"s\"}", "\"logits\":[1,2],\"algorithm\":{\"key\":\"s\"}");
            Classification read = first(decode(some, Messages.bytes(json), null));
            Integer[] order = IntStream.range(0, length).boxed().toArray(Integer[]::new);
            Arrays.sort(order, (a, b) -> scores[a] != scores[b] ? Float.compare(scores[b], scores[a]) : a - b);
            assertThat(read.score()).isEqualTo(scores[order[0]]);
            assertThat(read.logits()).isEqualTo(MessageBody.Numbers.NONE);
            if (length <= top) {
                assertThat(read.scores().values()).containsExactly(scores);
                assertThat(read.scores().classes()).isNull();
                continue;
            }
            for (int i = 0; i < top; i++) {
                assertThat(read.scores().classes()[i]).as("%s of %s", i, json).isEqualTo(order[i]);
                assertThat(read.scores().values()[i]).isEqualTo(scores[order[i]]);
            }
        }
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
        assertThat(read.scores().values()).hasSize(29_000);
        assertThat(read.score()).isEqualTo(0.9);
        assertThat(read.scores().values()[1]).isEqualTo(1.25e-05f);
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
            [] | the document is a list without any result in it.
            [1, "x"] | the document is a list without any result in it.
            {"results":[]} | /results is a list without any result in it.
            {"pipeline":"p","results":[{}]} | it is a result, and has a list of results beside it.
            {"results":[{}],"error":"e"} | it is a result, and has a list of results beside it.
            {"results":[{}],"result":[{}]} | it has two lists of results.
            { | it ends in the middle of the document (line 1, column 2).
            {"a":"b | it ends in the middle of the document (line 1, column 8).
            {"a" 5} | it is not JSON (line 1, column 6).
            {"error":"e","image_id":"abc"} | /image_id is "abc", not a whole number of 64 bits.
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
        "2026-04-16, 2026-04-16T00:00:00Z",
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
                "20260416",
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
        MessageBody expected = decode(plain, null);
        for (String encoding : new String[] {"gzip", "GZIP", "zstd", "identity", ""}) {
            MessageBody decoded = decode(compressed(plain, encoding), encoding);
            assertThat(decoded.result().detections())
                    .hasSameSizeAs(expected.result().detections());
        }
        assertThat(catchThrowableOfType(DecodeException.class, () -> decode(plain, "br")))
                .hasMessage("The message cannot be decoded: its Content-Encoding is \"br\";"
                        + " gzip, zstd and none are understood.");
        for (String encoding : new String[] {"gzip", "zstd"}) {
            assertThat(catchThrowableOfType(DecodeException.class, () -> decode(plain, encoding)))
                    .hasMessage("The message cannot be decoded: it is not " + encoding
                            + ", which its Content-Encoding says it is.");
            byte[] cut = Arrays.copyOf(compressed(plain, encoding), 60);
            assertThat(catchThrowableOfType(DecodeException.class, () -> decode(cut, encoding)))
                    .hasMessageMatching("The message cannot be decoded: .*" + encoding + ".*\\.");
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"gzip", "zstd"})
    void aMessageThatInflatesWithoutBoundIsRefused(String encoding) throws Exception {
        byte[] bomb = new byte[2_000_000];
        Arrays.fill(bomb, (byte) ' ');
        byte[] small = compressed(bomb, encoding);
        DecodeException e = catchThrowableOfType(DecodeException.class, () -> decode(small, encoding));
        assertThat(e.sqlState()).isEqualTo("RS012");
        assertThat(e)
                .hasMessage(
                        "The message inflates to more than 1 MB, the most that COUNTERSINK_MESSAGE_MAX_INFLATED allows.");
    }

    @Test
    void aMessageOverABoundIsRefusedWithTheBoundsName() {
        String list = "0.5,".repeat(30_000) + "0.5";
        assertThat(fault(withScores(list)))
                .hasMessage(
                        "The message has more than 30000 scores and logits, the most that COUNTERSINK_MESSAGE_MAX_SCORES allows.");
        String text = "x".repeat(1_000_001);
        for (String json : new String[] {
            "{\"error\":\"" + text + "\"}",
            "{\"error\":{\"why\":\"" + text + "\"}}",
            Messages.result(1).replace("[]}", "[],\"errors\":[\"" + text + "\"]}"),
            Messages.result(1).replace("\"random\"", "\"" + text + "\"")
        }) {
            assertThat(fault(json))
                    .hasMessage(
                            "The message has a text of more than 1000000 characters, the most that COUNTERSINK_MESSAGE_MAX_TEXT allows.");
        }
        MessageDecoder narrow = new MessageDecoder(settings(DataSize.ofMegabytes(1), 1_000_000, 1_000_000));
        String[] large = {
            withScores("0.5,".repeat(300_000) + "0.5"),
            Messages.result(1, Messages.detection(1, 1).repeat(20_000).replace("}{", "},{")),
            "{\"x0\":0"
                    + IntStream.range(1, 20_000)
                            .mapToObj(i -> ",\"x" + i + "\":0")
                            .collect(Collectors.joining()) + "}",
            "[{\"deep\":{\"x0\":0"
                    + IntStream.range(1, 20_000)
                            .mapToObj(i -> ",\"x" + i + "\":0")
                            .collect(Collectors.joining()) + "}}]",
            "[{\"error\":\"" + "ab".repeat(100_000) + "\"}"
                    + (",{\"error\":\"" + "ab".repeat(100_000) + "\"}").repeat(6) + "]",
            "[" + "0,".repeat(100_000) + "0]"
        };
        for (String json : large) {
            assertThat(catchThrowableOfType(DecodeException.class, () -> decode(narrow, Messages.bytes(json), null)))
                    .as(json.substring(0, 60))
                    .hasMessage(
                            "The message takes more than 1 MB of memory, the most that COUNTERSINK_MESSAGE_MEMORY allows.");
        }
    }

    /** Truncations and random changes of bytes: each is read, or raises a DecodeException, and nothing else. */
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
                decode(bytes, encoding);
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

    private static String withField(String name, String json) {
        return withScores("0.5")
                .replaceFirst(
                        "\"timestamp\":\"2026-04-16T22:00:00\"\\}\\]",
                        "\"timestamp\":\"2026-04-16T22:00:00\",\"" + name + "\":" + json.replace("\\", "\\\\") + "}]");
    }

    private Classification first(String json) throws DecodeException {
        return first(decode(json));
    }

    private static Classification first(MessageBody body) {
        return body.result().detections().get(0).classifications().get(0);
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

    private static MessageSettings settings(DataSize memory, int maxText, int maxScores) {
        return new MessageSettings(memory, maxScores, maxText, DataSize.ofMegabytes(1), "all", "all");
    }

    private MessageBody decode(String json) throws DecodeException {
        return decode(Messages.bytes(json), null);
    }

    private MessageBody decode(byte[] payload, String encoding) throws DecodeException {
        return decode(decoder, payload, encoding);
    }

    private static MessageBody decode(MessageDecoder decoder, byte[] payload, String encoding) throws DecodeException {
        DecodedResult result = decoder.decode(() -> new ByteArrayInputStream(payload), encoding)
                .get(0);
        if (result.fault() != null) {
            throw result.fault();
        }
        return result.body();
    }

    private DecodeException fault(String json) {
        return catchThrowableOfType(DecodeException.class, () -> decode(json));
    }
}
