package dev.countersink.monitor;

import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.slf4j.LoggerFactory;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

class StateLineTest {
    private final Logger logger = (Logger) LoggerFactory.getLogger("dev.countersink.views");
    private final ListAppender<ILoggingEvent> lines = new ListAppender<>();
    private final Level before = logger.getLevel();

    @BeforeEach
    void listen() {
        lines.start();
        logger.addAppender(lines);
        logger.setAdditive(false);
        logger.setLevel(Level.INFO);
    }

    @AfterEach
    void leave() {
        logger.detachAppender(lines);
        logger.setAdditive(true);
        logger.setLevel(before);
    }

    @Test
    void thereIsALineOnlyIfSomethingWasDone() {
        MeterRegistry meters = new SimpleMeterRegistry();
        StateLine line = new StateLine(meters);
        line.write(now(
                "{\"name\":\"a.v\",\"level\":\"ok\",\"lag\":0.25}", "{\"name\":\"a.w\",\"level\":\"bad\",\"lag\":0}"));
        assertThat(lines.list).isEmpty();
        meters.counter("countersink.merge.keys", "view", "a.v").increment(1000);
        meters.counter("countersink.merge.keys", "view", "a.w").increment(234);
        meters.counter("countersink.merge.changed", "view", "a.v").increment(7);
        line.write(now(
                "{\"name\":\"a.v\",\"level\":\"ok\",\"lag\":0.25}", "{\"name\":\"a.w\",\"level\":\"bad\",\"lag\":0}"));
        assertThat(lines.list)
                .singleElement()
                .extracting(ILoggingEvent::getFormattedMessage)
                .isEqualTo(
                        "1 of 2 views are as they should be; in the last minute 1,234 keys were merged here, 7 rows changed and"
                                + " 0 runs finished; the oldest change has waited 250 ms, in a.v; findings: 0");
        line.write(now());
        assertThat(lines.list).hasSize(1);
        meters.counter("countersink.runs.finished", "action", "verify").increment();
        line.write(now());
        assertThat(lines.list)
                .last()
                .extracting(ILoggingEvent::getFormattedMessage)
                .asString()
                .contains("1 runs finished; nothing is pending");
    }

    private static ViewBoard.Now now(String... views) {
        List<ObjectNode> rows = List.of(views).stream()
                .map(view -> (ObjectNode) JsonMapper.shared().readTree(view))
                .toList();
        return new ViewBoard.Now(Finding.Level.OK, "", Instant.EPOCH, List.of(), rows);
    }
}
