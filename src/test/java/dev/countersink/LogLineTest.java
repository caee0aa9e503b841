package dev.countersink;

import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.joran.JoranConfigurator;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.classic.spi.LoggingEvent;
import ch.qos.logback.core.ConsoleAppender;
import java.nio.charset.StandardCharsets;
import java.util.Objects;
import org.junit.jupiter.api.Test;

/** The log for people, as the program writes it. */
class LogLineTest {
    @Test
    void aMessageIsOneLineWhateverIsInIt() throws Exception {
        LoggerContext context = new LoggerContext();
        JoranConfigurator configurator = new JoranConfigurator();
        configurator.setContext(context);
        configurator.doConfigure(Objects.requireNonNull(LogLineTest.class.getResource("/logback.xml")));
        Logger root = context.getLogger(Logger.ROOT_LOGGER_NAME);
        ConsoleAppender<ILoggingEvent> console = (ConsoleAppender<ILoggingEvent>) root.getAppender("CONSOLE");
        ILoggingEvent event = new LoggingEvent(
                "",
                context.getLogger("dev.countersink.X"),
                Level.WARN,
                "view \u202e\"a\n10:00:00.000 ERROR \u001b[2Jforged\": {}",
                null,
                new Object[] {"x\r\ny\u2028z"});
        assertThat(new String(console.getEncoder().encode(event), StandardCharsets.UTF_8))
                .endsWith("WARN  X: view  \"a 10:00:00.000 ERROR  [2Jforged\": x y z" + System.lineSeparator());
        context.stop();
    }
}
