package dev.countersink.tally.random;

import java.util.List;
import java.util.Random;

/** Types of columns. Their values come from small sets, so that they meet, leave and come back. */
enum Type {
    INT("int"),
    BIGINT("bigint"),
    NUMERIC("numeric"),
    FLOAT("double precision"),
    TEXT("text"),
    BOOLEAN("boolean"),
    TIMESTAMPTZ("timestamptz"),
    DATE("date"),
    UUID("uuid"),
    JSONB("jsonb");

    /** What a column of values may be. */
    static final List<Type> VALUES =
            List.of(INT, INT, NUMERIC, NUMERIC, FLOAT, TEXT, TEXT, BOOLEAN, TIMESTAMPTZ, JSONB);

    private static final List<String> NUMERICS = List.of("0", "1", "1.0", "1.00", "-2.5", "0.333", "7.25", "1000000");
    private static final List<String> FLOATS = List.of("0", "0.1", "0.2", "0.3", "-2.5", "1e-7", "123456.789", "1e10");
    private static final List<String> TEXTS =
            List.of("", "a", "A", "b", "it''s", "ü", "NULL", "{x,\"y\"}", "\\N", "long ".repeat(9));
    private static final List<String> JSONS =
            List.of("{\"a\": 1}", "{\"a\": 1.0}", "{\"a\": null}", "[]", "null", "\"x\"", "{\"b\": {\"c\": [1, 2]}}");

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
            case INT -> cast(Integer.toString(random.nextInt(-5, 10)));
            case BIGINT, DATE, UUID -> key(random.nextInt(20));
            case NUMERIC -> cast(any(NUMERICS, random));
            case FLOAT -> cast(any(FLOATS, random));
            case TEXT -> cast(any(TEXTS, random));
            case BOOLEAN -> cast(Boolean.toString(random.nextBoolean()));
            case TIMESTAMPTZ -> cast("2026-06-01 %02d:00:00Z".formatted(random.nextInt(24)));
            case JSONB -> cast(any(JSONS, random));
        };
    }

    /** The i-th of the values that a key takes. */
    String key(int i) {
        return switch (this) {
            case INT, BIGINT -> cast(Integer.toString(i));
            case TEXT -> cast("k''%d\"".formatted(i));
            case DATE -> cast("2026-%02d-%02d".formatted(1 + i / 28 % 12, 1 + i % 28));
            case UUID -> cast("00000000-0000-4000-8000-%012x".formatted(i));
            default -> throw new IllegalArgumentException(name());
        };
    }

    /** A condition on an expression of this type: often true, often not. */
    String condition(String e, Random random) {
        if (random.nextInt(5) == 0) {
            return e + " IS NOT NULL";
        }
        return switch (this) {
            case BOOLEAN -> e + (random.nextBoolean() ? " IS NOT TRUE" : "");
            case JSONB -> random.nextBoolean() ? e + " ->> 'a' IS NULL" : e + " <> '[]'::jsonb";
            case TEXT -> "length(%s) < %d".formatted(e, 1 + random.nextInt(8));
            default -> e + (random.nextBoolean() ? " >= " : " < ") + literal(random);
        };
    }

    boolean adds() {
        return this == INT || this == BIGINT || this == NUMERIC || this == FLOAT;
    }

    /** Whether there is a min() of it in every version. */
    boolean ordered() {
        return this != UUID && this != BOOLEAN && this != JSONB;
    }

    /** Whether equal values are the same in every way, so that it does not matter which of them is seen. */
    boolean exact() {
        return this != NUMERIC && this != FLOAT && this != JSONB;
    }

    /** The type of sum(). */
    Type sum() {
        return this == INT ? BIGINT : this == BIGINT ? NUMERIC : this;
    }

    static <T> T any(List<T> choices, Random random) {
        return choices.get(random.nextInt(choices.size()));
    }

    private String cast(String value) {
        return "'%s'::%s".formatted(value, sql);
    }
}
