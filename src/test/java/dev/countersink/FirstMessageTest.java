package dev.countersink;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.ingest.Rig;
import dev.countersink.testing.Session;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** The first steps of the guide to ingestion, exactly as written there, on a newly started program. */
class FirstMessageTest {
    private static final Path PAGE = Path.of("docs", "ingest.md");
    private static final Pattern PUBLISH = Pattern.compile("(?s)nats pub (\\S+) '(.*)'\n");

    @Test
    void theFirstMessageOfTheGuideIsAppliedAndItsCountIsTheOneShown() throws Exception {
        try (Rig rig = new Rig()) {
            rig.ingest();
            rig.execute(block("sql rows"));
            Matcher publish = PUBLISH.matcher(block("sh message"));
            assertThat(publish.matches()).as("the command of %s", PAGE).isTrue();
            rig.publish(publish.group(1), publish.group(2));
            rig.awaitFinished();
            assertThat(rig.rows("SELECT reason FROM results.dead_letter")).isEmpty();
            rig.refreshAll();
            String count = block("sql count");
            assertThat(Session.shown(count)).hasSize(3);
            assertThat(Session.jdbc(rig.database(), count)).containsExactlyElementsOf(Session.shown(count));
        }
    }

    private static String block(String name) throws Exception {
        Matcher block = Pattern.compile("(?ms)^```" + name + "\n(.*?)^```$").matcher(Files.readString(PAGE));
        assertThat(block.find()).as("a block \"%s\" in %s", name, PAGE).isTrue();
        return block.group(1);
    }
}
