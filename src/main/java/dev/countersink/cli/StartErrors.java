package dev.countersink.cli;

import dev.countersink.config.SettingNames;
import dev.countersink.config.StartupException;
import java.io.PrintStream;
import java.util.Locale;
import java.util.Optional;
import org.springframework.boot.context.properties.bind.BindException;
import org.springframework.boot.web.server.PortInUseException;

/** Prints why the program did not start: a sentence, and a line with what to do. Only unforeseen errors have a stack trace. */
final class StartErrors {
    private static final int STATUS = 1;

    private StartErrors() {}

    static int report(Throwable failure, PrintStream out) {
        Optional<StartupException> foreseen = find(failure, StartupException.class)
                .or(() -> find(failure, BindException.class).map(StartErrors::unreadable))
                .or(() -> find(failure, PortInUseException.class).map(StartErrors::portInUse));
        if (foreseen.isPresent()) {
            out.println(foreseen.get().getMessage());
            out.println(foreseen.get().hint());
        } else {
            failure.printStackTrace(out);
        }
        return STATUS;
    }

    private static StartupException unreadable(BindException e) {
        return new StartupException(
                String.format(
                        Locale.ROOT,
                        "%s is '%s', which cannot be read as %s.",
                        SettingNames.shown(String.valueOf(e.getName())),
                        value(e),
                        kind(e.getTarget().getType().resolve(Object.class))),
                "Change it, or leave it out for its default.",
                e);
    }

    private static Object value(BindException e) {
        return e.getProperty() == null ? "" : e.getProperty().getValue();
    }

    private static String kind(Class<?> type) {
        return switch (type.getSimpleName()) {
            case "int" -> "a whole number";
            case "Duration" -> "a time, as in 500ms, 2s or 1m";
            case "DataSize" -> "a size, as in 512KB or 32MB";
            case "boolean" -> "true or false";
            default -> "a " + type.getSimpleName();
        };
    }

    private static StartupException portInUse(PortInUseException e) {
        return new StartupException(
                String.format(Locale.ROOT, "Port %d is in use by another program.", e.getPort()),
                "Choose another with COUNTERSINK_HTTP_PORT; 0 takes a free one.",
                e);
    }

    private static <T extends Throwable> Optional<T> find(Throwable failure, Class<T> type) {
        for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
            if (type.isInstance(cause)) {
                return Optional.of(type.cast(cause));
            }
        }
        return Optional.empty();
    }
}
