package dev.countersink.ingest.message;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

class ResultListTest {
    private static final int MOST = 50;
    private static final String CUT_OFF = "!The body ends before the list does.";

    @Test
    void aListIsCutIntoItsEntriesAsTheyAre() throws IOException {
        assertThat(cut("[]")).isEmpty();
        assertThat(cut(" [ ] ")).isEmpty();
        assertThat(cut("[1,2]")).containsExactly("1", "2");
        assertThat(cut("[{\"a\":[1,{\"b\":2}]} , {\"c\":\"],}\\\"\"}]"))
                .containsExactly("{\"a\":[1,{\"b\":2}]} ", "{\"c\":\"],}\\\"\"}");
        assertThat(cut("\uFEFF[1]")).containsExactly("1");
    }

    @Test
    void anObjectHasThemUnderResults() throws IOException {
        assertThat(cut("{\"results\":[1,2]}")).containsExactly("1", "2");
        assertThat(cut("{\"a\": {\"results\":[7]}, \"b\":[1,[2]], \"c\":\"}\", \"results\" : [ 3 ], \"d\": [4]}"))
                .containsExactly("3 ");
    }

    @Test
    void whatIsNoListIsSaidToBeNone() {
        for (String body :
                List.of("", "  ", "7", "\"a\"", "{}", "{\"a\":[1]}", "{\"results\":7}", "{\"results\"", "{1:2}")) {
            assertThatThrownBy(() -> cut(body)).as(body).isInstanceOf(ResultList.NotAListException.class);
        }
    }

    @Test
    void aBrokenEntryLosesNoOther() throws IOException {
        assertThat(cut("[1,,2]")).containsExactly("1", "!There is nothing between two commas.", "2");
        assertThat(cut("[1,]")).containsExactly("1", "!There is nothing between two commas.");
        assertThat(cut("[{\"a\":[1,2},{\"b\":3}]")).containsExactly("{\"a\":[1,2}", "{\"b\":3}");
        assertThat(cut("[{\"a\":1}},{\"b\":3}]")).containsExactly("{\"a\":1}}", "{\"b\":3}");
        assertThat(cut("[{\"a\":\"never closed\n},\n{\"b\":3}]"))
                .containsExactly("{\"a\":\"never closed\n}", "{\"b\":3}");
        assertThat(cut("[1,{\"a\":1")).containsExactly("1", "{\"a\":1", CUT_OFF);
        assertThat(cut("[1,")).containsExactly("1", CUT_OFF);
        assertThat(cut("[1")).containsExactly("1", CUT_OFF);
        assertThat(cut("[")).containsExactly(CUT_OFF);
        assertThat(cut("{\"results\":[1]")).containsExactly("1", CUT_OFF);
        assertThat(cut("{\"results\":[1],\"a\":2")).containsExactly("1", CUT_OFF);
        assertThat(cut("[{\"a\":1]")).containsExactly("{\"a\":1");
    }

    @Test
    void nothingThatFollowsTheListIsLostInSilence() {
        for (String body : List.of(
                "{\"results\":[1],\"results\":[2]}",
                "{\"results\":[1],\"a\":[7,{\"b\":8}], \"results\":[2]}",
                "[1][2]",
                "[1]\n{\"a\":2}",
                "[]1",
                "[{\"a\":1]},{\"b\":2}]",
                "{\"results\":[1]}{\"results\":[2]}",
                "{\"results\":[1]]}")) {
            assertThatThrownBy(() -> cut(body)).as(body).isInstanceOf(ResultList.NotAListException.class);
        }
    }

    @Test
    void aLargeEntryIsPassedOver() throws IOException {
        String large = "\"" + "x".repeat(MOST - 1) + "\"";
        assertThat(cut("[1," + large + ",2]"))
                .containsExactly(
                        "1",
                        "!It has more than " + MOST + " bytes, the most that the NATS server takes in a message.",
                        "2");
        assertThat(cut("[" + large.substring(1, MOST) + "1]")).hasSize(1).noneMatch(entry -> entry.startsWith("!"));
    }

    @Test
    void deepNestingIsCutLikeAnyOther() throws IOException {
        String deep = "[".repeat(5000) + "]".repeat(5000);
        assertThat(cut("[" + deep + ",1]", Integer.MAX_VALUE)).containsExactly(deep, "1");
    }

    @Test
    void randomListsGiveWhatAJsonLibraryFinds() throws IOException {
        long seed = Long.getLong("countersink.seed", System.nanoTime());
        System.out.println("randomLists: -Dcountersink.seed=" + seed);
        Random random = new Random(seed);
        for (int i = 0; i < 2000; i++) {
            ArrayNode list = JsonNodeFactory.instance.arrayNode();
            for (int n = random.nextInt(5); n > 0; n--) {
                list.add(value(random, 4));
            }
            String json = random.nextBoolean() ? list.toString() : list.toPrettyString();
            String body = random.nextBoolean() ? json : "{\"x\":" + value(random, 2) + ",\"results\":" + json + "}";
            List<String> expected = new ArrayList<>();
            list.forEach(entry -> expected.add(entry.toString()));
            assertThat(cut(body, Integer.MAX_VALUE).stream()
                            .map(e -> JsonMapper.shared().readTree(e).toString()))
                    .as(body)
                    .isEqualTo(expected);
        }
    }

    private static JsonNode value(Random random, int depth) {
        int kind = random.nextInt(depth == 0 ? 3 : 5);
        if (kind == 3) {
            ArrayNode list = JsonNodeFactory.instance.arrayNode();
            for (int n = random.nextInt(3); n > 0; n--) {
                list.add(value(random, depth - 1));
            }
            return list;
        }
        if (kind == 4) {
            ObjectNode object = JsonNodeFactory.instance.objectNode();
            for (int n = random.nextInt(3); n > 0; n--) {
                object.set("k" + random.nextInt(9), value(random, depth - 1));
            }
            return object;
        }
        String signs = "{}[],:\"\\\n ä\u4e2d";
        StringBuilder text = new StringBuilder();
        for (int n = random.nextInt(6); n > 0; n--) {
            text.append(signs.charAt(random.nextInt(signs.length())));
        }
        return switch (kind) {
            case 0 -> JsonNodeFactory.instance.numberNode(random.nextInt());
            case 1 -> JsonNodeFactory.instance.booleanNode(random.nextBoolean());
            default -> JsonNodeFactory.instance.stringNode(text.toString());
        };
    }

    private static List<String> cut(String body) throws IOException {
        return cut(body, MOST);
    }

    /** Returns the bytes one by one, like a slow network. */
    private static List<String> cut(String body, int most) throws IOException {
        InputStream slow = new ByteArrayInputStream(body.getBytes(StandardCharsets.UTF_8)) {
            @Override
            public synchronized int read(byte[] target, int offset, int length) {
                return super.read(target, offset, Math.min(length, 1));
            }
        };
        ResultList list = new ResultList(slow, most);
        List<String> entries = new ArrayList<>();
        for (ResultList.Entry entry = list.next(); entry != null; entry = list.next()) {
            assertThat(entry.index()).isEqualTo(entries.size());
            entries.add(
                    entry.fault() != null ? "!" + entry.fault() : new String(entry.bytes(), StandardCharsets.UTF_8));
        }
        return entries;
    }
}
