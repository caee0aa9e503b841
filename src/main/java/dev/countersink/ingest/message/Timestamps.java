package dev.countersink.ingest.message;

import java.time.DateTimeException;
import java.time.LocalDate;

/** ISO 8601 timestamps as microseconds since 1970. The parser is our own, because every message has about a dozen. */
final class Timestamps {
    private static final long MICROS_PER_SECOND = 1_000_000;
    private static final long SECONDS_PER_DAY = 86_400;
    private static final long FIRST_SECOND = LocalDate.of(1, 1, 1).toEpochDay() * SECONDS_PER_DAY;
    private static final long END_SECOND = LocalDate.of(10_000, 1, 1).toEpochDay() * SECONDS_PER_DAY;

    private final String text;
    private int at;

    private Timestamps(String text) {
        this.text = text;
    }

    /**
     * Seconds since 1970, rounded to microseconds.
     *
     * @throws DateTimeException if it is not in the years 1 to 9999, as with milliseconds
     */
    static long ofSeconds(double seconds) {
        if (!(seconds >= FIRST_SECOND && seconds < END_SECOND)) {
            throw malformed();
        }
        return Math.round(seconds * MICROS_PER_SECOND);
    }

    /**
     * Reads {@code 2026-04-16T22:00:00}. A blank may stand for the T; seconds, a fraction and a zone are optional. Without a
     * zone it is UTC. A date alone means midnight. Digits beyond the microsecond are cut off.
     *
     * @throws DateTimeException if it is not a timestamp
     */
    static long micros(String text) {
        return new Timestamps(text).read();
    }

    private long read() {
        int year = digits(4);
        expect('-');
        int month = digits(2);
        expect('-');
        long days = LocalDate.of(year, month, digits(2)).toEpochDay();
        if (at == text.length()) {
            return days * SECONDS_PER_DAY * MICROS_PER_SECOND;
        }
        if (peek() != 'T' && peek() != 't' && peek() != ' ') {
            throw malformed();
        }
        at++;
        int hour = upTo(23);
        expect(':');
        int minute = upTo(59);
        int second = 0;
        long fraction = 0;
        if (peek() == ':') {
            at++;
            second = upTo(59);
            fraction = fraction();
        }
        long offset = offset();
        if (at != text.length()) {
            throw malformed();
        }
        long seconds = days * SECONDS_PER_DAY + hour * 3600L + minute * 60L + second - offset;
        return seconds * MICROS_PER_SECOND + fraction;
    }

    private long fraction() {
        if (peek() != '.' && peek() != ',') {
            return 0;
        }
        at++;
        int from = at;
        long micros = 0;
        long unit = MICROS_PER_SECOND;
        while (peek() >= '0' && peek() <= '9') {
            unit /= 10;
            micros += (peek() - '0') * unit;
            at++;
        }
        if (at == from) {
            throw malformed();
        }
        return micros;
    }

    private long offset() {
        char sign = peek();
        if (sign == 'Z' || sign == 'z') {
            at++;
            return 0;
        }
        if (sign != '+' && sign != '-') {
            return 0;
        }
        at++;
        long seconds = upTo(18) * 3600L;
        if (peek() == ':') {
            at++;
            seconds += upTo(59) * 60L;
        } else if (at < text.length()) {
            seconds += upTo(59) * 60L;
        }
        return sign == '+' ? seconds : -seconds;
    }

    private int upTo(int max) {
        int value = digits(2);
        if (value > max) {
            throw malformed();
        }
        return value;
    }

    private int digits(int count) {
        int value = 0;
        for (int i = 0; i < count; i++) {
            char c = peek();
            if (c < '0' || c > '9') {
                throw malformed();
            }
            value = value * 10 + (c - '0');
            at++;
        }
        return value;
    }

    private void expect(char c) {
        if (peek() != c) {
            throw malformed();
        }
        at++;
    }

    private char peek() {
        return at < text.length() ? text.charAt(at) : '\0';
    }

    private static DateTimeException malformed() {
        return new DateTimeException("not a timestamp");
    }
}
