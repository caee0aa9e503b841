package dev.countersink;

import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.classic.spi.ThrowableProxyUtil;
import ch.qos.logback.core.Appender;
import ch.qos.logback.core.ConsoleAppender;
import ch.qos.logback.core.encoder.EncoderBase;
import dev.countersink.config.LogSettings;
import java.nio.charset.StandardCharsets;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.boot.context.properties.bind.Binder;
import org.springframework.core.env.Environment;
import tools.jackson.databind.json.JsonMapper;

/** Writes each line of the log as a JSON object, if that is set. Its messages are those of the other form. */
final class LogFormat extends EncoderBase<ILoggingEvent> {
    private static final byte[] NOTHING = {};

    private final JsonMapper json = JsonMapper.shared();

    private LogFormat() {}

    /** Before anything is opened or begun, so that all that is logged from then on has this form. */
    static void apply(Environment environment) {
        LogSettings settings = Binder.get(environment).bindOrCreate("countersink.log", LogSettings.class);
        if (settings.json() && LoggerFactory.getILoggerFactory() instanceof LoggerContext context) {
            Iterator<Appender<ILoggingEvent>> appenders =
                    context.getLogger(Logger.ROOT_LOGGER_NAME).iteratorForAppenders();
            appenders.forEachRemaining(appender -> {
                if (appender instanceof ConsoleAppender<ILoggingEvent> console) {
                    LogFormat format = new LogFormat();
                    format.setContext(context);
                    format.start();
                    console.setEncoder(format);
                }
            });
        }
    }

    @Override
    public byte[] headerBytes() {
        return NOTHING;
    }

    @Override
    public byte[] footerBytes() {
        return NOTHING;
    }

    @Override
    public byte[] encode(ILoggingEvent event) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("time", event.getInstant().toString());
        line.put("level", event.getLevel().toString());
        line.put("logger", event.getLoggerName());
        line.put("thread", event.getThreadName());
        line.put("message", event.getFormattedMessage());
        if (event.getThrowableProxy() != null) {
            line.put("error", ThrowableProxyUtil.asString(event.getThrowableProxy()));
        }
        return (json.writeValueAsString(line) + System.lineSeparator()).getBytes(StandardCharsets.UTF_8);
    }
}
