package dev.countersink.config;

import java.text.ParseException;
import java.time.ZoneOffset;
import java.util.Date;
import java.util.Locale;
import java.util.Optional;
import java.util.TimeZone;
import org.quartz.CronExpression;

/** Cron expressions in Quartz's format, in UTC. */
public final class Cron {
    public static final TimeZone ZONE = TimeZone.getTimeZone(ZoneOffset.UTC);

    private Cron() {}

    /** Why an expression is invalid, as a sentence; empty if a job can use it. */
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
