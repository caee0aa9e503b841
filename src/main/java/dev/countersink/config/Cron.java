package dev.countersink.config;

import java.text.ParseException;
import java.time.ZoneOffset;
import java.util.Date;
import java.util.Locale;
import java.util.Optional;
import java.util.TimeZone;
import org.quartz.CronExpression;

/** Cron expressions as Quartz reads them, in UTC. */
public final class Cron {
    public static final TimeZone ZONE = TimeZone.getTimeZone(ZoneOffset.UTC);

    private Cron() {}

    /** What is wrong with an expression, as a sentence; nothing if a job can be run by it. */
    public static Optional<String> problem(String cron) {
        try {
            CronExpression expression = new CronExpression(cron);
            expression.setTimeZone(ZONE);
            return expression.getNextValidTimeAfter(new Date()) == null
                    ? Optional.of(String.format(Locale.ROOT, "cron is \"%s\", which never comes again.", cron))
                    : Optional.empty();
        } catch (ParseException | RuntimeException e) {
            return Optional.of(
                    String.format(Locale.ROOT, "cron is \"%s\", which cannot be read: %s", cron, e.getMessage()));
        }
    }
}
