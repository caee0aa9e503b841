package dev.countersink.tally.random;

import java.util.List;
import java.util.Random;

/**
 * Types of columns. Their values come from small sets, so that equal values occur often and come back. Many values are equal to
 * another one but look different.
 */
enum Type {
    INT("int"),
    BIGINT("bigint"),
    NUMERIC("numeric"),
    AMOUNT("numeric(8,2)"),
    FLOAT("double precision"),
    REAL("real"),
    TEXT("text"),
    CITEXT("public.citext"),
    FOLDED("text COLLATE random_app.folded"),
    BPCHAR("char(6)"),
    BOOLEAN("boolean"),
    TIMESTAMPTZ("timestamptz"),
    TIMESTAMP("timestamp"),
    INTERVAL("interval"),
    DATE("date"),
    UUID("uuid"),
    BYTEA("bytea"),
    JSON("json"),
    JSONB("jsonb"),
    POINT("point"),
    INTS("int[]"),
    TEXTS("text[]"),
    PAIR("random_app.pair"),
    SMALL("random_app.small"),
    MOOD("random_app.mood");

    /** The statements that make the types of a random schema. */
    static final List<String> DDL = List.of(
            "CREATE COLLATION random_app.folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
            "CREATE TYPE random_app.pair AS (a int, b text)",
            "CREATE DOMAIN random_app.small AS int CHECK (VALUE BETWEEN -100 AND 100)",
            "CREATE TYPE random_app.mood AS ENUM ('sad', 'ok', 'happy', 'Happy')",
            // what equal intervals have in common: a month is 30 days, a day 24 hours; each part is rounded separately
            "CREATE FUNCTION random_app.span(i interval) RETURNS numeric LANGUAGE sql IMMUTABLE RETURN round(((extract(year FROM i) * 12 + extract(month FROM i)) * 30 + extract(day FROM i)) * 86400 + extract(hour FROM i) * 3600 + extract(minute FROM i) * 60 + extract(second FROM i), 2)");

    /** The types of value columns. */
    static final List<Type> VALUES = List.of(
            INT,
            INT,
            NUMERIC,
            NUMERIC,
            AMOUNT,
            FLOAT,
            REAL,
            TEXT,
            TEXT,
            CITEXT,
            FOLDED,
            BPCHAR,
            BOOLEAN,
            TIMESTAMPTZ,
            TIMESTAMP,
            INTERVAL,
            BYTEA,
            JSON,
            JSONB,
            POINT,
            INTS,
            TEXTS,
            PAIR,
            SMALL,
            MOOD);

    /** The types of keys, besides the ordinary ones. */
    static final List<Type> KEYS = List.of(NUMERIC, CITEXT, FOLDED, BPCHAR, TIMESTAMPTZ, INTERVAL, BYTEA, SMALL);

    private static final List<String> NUMERICS =
            List.of("0", "1", "1.0", "1.00", "-2.5", "0.333", "7.25", "1000000", "NaN", "Infinity", "-Infinity");
    private static final List<String> AMOUNTS = List.of("0", "1", "-2.5", "0.33", "NaN");
    private static final List<String> FLOATS = List.of(
            "0", "-0", "0.1", "0.2", "0.3", "-2.5", "1e-7", "123456.789", "1e10", "NaN", "Infinity", "-Infinity");
    private static final List<String> WORDS =
            List.of("", "a", "A", "b", "it''s", "ü", "NULL", "{x,\"y\"}", "\\N", "long ".repeat(9));
    private static final List<String> SPELLINGS = List.of("", "a", "A", "ab", "aB", "AB", "ü", "Ü", "it''s");
    private static final List<String> JSONS =
            List.of("{\"a\": 1}", "{\"a\": 1.0}", "{\"a\": null}", "[]", "null", "\"x\"", "{\"b\": {\"c\": [1, 2]}}");
    private static final List<String> INTERVALS =
            List.of("0", "1 mon", "30 days", "720:00", "1 day", "24:00", "-1 day", "1 mon -1 day");

    private final String sql;

    Type(String sql) {
        this.sql = sql;
    }

    String sql() {
        return sql;
    }

    /** A value, as a literal of this type. */
    String literal(Random random) {
        return switch (this) {
            case INT, SMALL -> cast(Integer.toString(random.nextInt(-5, 10)));
            case BIGINT, DATE, UUID -> key(random.nextInt(20));
            case NUMERIC -> cast(any(NUMERICS, random));
            case AMOUNT -> cast(any(AMOUNTS, random));
            case FLOAT, REAL -> cast(any(FLOATS, random));
            case TEXT -> cast(any(WORDS, random));
            case CITEXT, FOLDED, BPCHAR -> cast(any(SPELLINGS, random));
            case BOOLEAN -> cast(Boolean.toString(random.nextBoolean()));
            case TIMESTAMPTZ ->
                cast(
                        random.nextInt(8) == 0
                                ? any(List.of("infinity", "-infinity"), random)
                                : "2026-03-29 %02d:30:00Z".formatted(random.nextInt(24)));
            case TIMESTAMP -> cast("2026-03-29 %02d:30:00".formatted(random.nextInt(24)));
            case INTERVAL -> cast(any(INTERVALS, random));
            case BYTEA -> cast(any(List.of("", "\\x00", "\\x61", "\\xff00"), random));
            case JSON, JSONB -> cast(any(JSONS, random));
            case POINT -> cast("(%d,%s)".formatted(random.nextInt(2), any(List.of("0", "-0", "1"), random)));
            case INTS ->
                cast(any(List.of("{}", "{1}", "{1,NULL}", "{NULL}", "{2,1}", "{{1},{2}}", "[2:2]={1}"), random));
            case TEXTS -> cast(any(List.of("{}", "{a}", "{A,NULL}", "{\"\"}", "{\"a,b\"}"), random));
            case PAIR -> cast(any(List.of("(1,a)", "(1,)", "(,)", "(,\"\")", "(2,\"b c\")"), random));
            case MOOD -> cast(any(List.of("sad", "ok", "happy", "Happy"), random));
        };
    }

    /** The i-th of the values that a key can have. */
    String key(int i) {
        return switch (this) {
            case INT, BIGINT, SMALL -> cast(Integer.toString(i));
            case NUMERIC -> cast(i == 0 ? "NaN" : i == 1 ? "Infinity" : i % 2 == 0 ? i + ".0" : i + ".500");
            case TEXT -> cast("k''%d\"".formatted(i));
            case CITEXT, FOLDED -> cast("%s,%d".formatted(i % 3 == 0 ? "Kü" : "kü", i));
            case BPCHAR -> cast("k%d".formatted(i));
            case TIMESTAMPTZ -> cast("2026-10-25 %02d:%02d:00.5Z".formatted(i / 4 % 24, i % 4 * 15));
            case INTERVAL -> cast(i % 2 == 0 ? i + " days" : i * 24 + ":00");
            case BYTEA -> cast("\\x%02x00".formatted(i));
            case DATE -> cast("2026-%02d-%02d".formatted(1 + i / 28 % 12, 1 + i % 28));
            case UUID -> cast("00000000-0000-4000-8000-%012x".formatted(i));
            default -> throw new IllegalArgumentException(name());
        };
    }

    /** An expression that is equal to a column but looks different, if possible. */
    String respelled(String column) {
        return switch (this) {
            case NUMERIC -> column + " * 1.0";
            case CITEXT -> "upper(%s::text)::public.citext".formatted(column);
            case FOLDED -> "upper(%s)".formatted(column);
            case INTERVAL -> "%s - interval '1 day' + interval '24:00'".formatted(column);
            default -> column;
        };
    }

    /** A condition on an expression of this type that is often true and often false. */
    String condition(String e, Random random) {
        if (random.nextInt(5) == 0) {
            return e + " IS NOT NULL";
        }
        return switch (this) {
            case BOOLEAN -> e + (random.nextBoolean() ? " IS NOT TRUE" : "");
            case JSON -> e + " ->> 'a' IS NULL";
            case JSONB -> random.nextBoolean() ? e + " ->> 'a' IS NULL" : e + " <> '[]'::jsonb";
            case POINT -> "(%s)[1] > 0".formatted(e);
            case TEXT, BPCHAR -> "length(%s) < %d".formatted(e, 1 + random.nextInt(8));
            case FOLDED -> e + (random.nextBoolean() ? " <> " : " = ") + literal(random);
            default -> e + (random.nextBoolean() ? " >= " : " < ") + literal(random);
        };
    }

    boolean adds() {
        return this == INT
                || this == BIGINT
                || this == NUMERIC
                || this == AMOUNT
                || this == FLOAT
                || this == REAL
                || this == SMALL
                || this == INTERVAL;
    }

    /** Whether min() exists for it in every version. */
    boolean ordered() {
        return compares() && this != UUID && this != BOOLEAN && this != JSONB && this != BYTEA && this != PAIR;
    }

    /** Whether it has an order, so that rows may be grouped by it. */
    boolean compares() {
        return this != JSON && this != POINT;
    }

    /** Whether a projection may have it as a key. */
    boolean keys() {
        return compares() && this != INTS && this != TEXTS && this != PAIR;
    }

    /** Whether equal values are always identical, so that it does not matter which of them is shown. */
    boolean exact() {
        return switch (this) {
            case NUMERIC, FLOAT, REAL, JSONB, CITEXT, FOLDED, INTERVAL -> false;
            default -> true;
        };
    }

    /** Whether its JSON form depends on no setting. */
    boolean steady() {
        return switch (this) {
            case FLOAT, REAL, TIMESTAMPTZ, INTERVAL, BYTEA, POINT -> false;
            default -> true;
        };
    }

    /** An expression for comparisons: the value's image, or, if any of several equal values may be shown, what they have in common. */
    String image(String e, boolean loose) {
        if (!loose) {
            return e + "::text";
        }
        return switch (this) {
            case CITEXT -> "lower(%s::text)".formatted(e);
            case FOLDED -> "lower(%s COLLATE \"und-x-icu\")".formatted(e); // "C" folds ASCII alone
            case FLOAT, REAL -> "(%s + 0)::text".formatted(e);
            case INTERVAL -> "random_app.span(%s)".formatted(e);
            case NUMERIC ->
                "to_jsonb(round(%s, 9))".formatted(e); // an average has the more digits the more its values have
            case JSONB -> "to_jsonb(%s)".formatted(e);
            default -> e + "::text";
        };
    }

    /** The type of sum(). */
    Type sum() {
        return this == INT || this == SMALL ? BIGINT : this == BIGINT || this == AMOUNT ? NUMERIC : this;
    }

    /** The type of avg(). */
    Type average() {
        return this == FLOAT || this == REAL ? FLOAT : this == INTERVAL ? INTERVAL : NUMERIC;
    }

    static <T> T any(List<T> choices, Random random) {
        return choices.get(random.nextInt(choices.size()));
    }

    private String cast(String value) {
        return "'%s'::%s".formatted(value, sql);
    }
}
