package dev.countersink.testing;

/** What a derived relation has that its oracle has not, and the other way: EXCEPT ALL both ways, in one snapshot. */
public final class Differences {
    private Differences() {}

    /** The same with rows that have the same values under the same names. */
    public static String sql(String relation, String oracle) {
        return sql("to_jsonb(x)", relation, oracle);
    }

    /**
     * SQL for one text: a line for each row too much and each row missing; empty if there is none.
     *
     * @param row what is compared of a row, whose alias is {@code x}: {@code x::text} tells apart what {@code to_jsonb(x)} does
     *     not, such as two scales of a number
     * @param oracle a relation, or a query in parentheses
     */
    public static String sql(String row, String relation, String oracle) {
        return """
                WITH r AS MATERIALIZED (SELECT %1$s AS t FROM %2$s x), o AS MATERIALIZED (SELECT %1$s AS t FROM %3$s x)
                SELECT coalesce(string_agg(what || t, E'\\n'), '') FROM (
                    SELECT 'too much ' AS what, t::text FROM (TABLE r EXCEPT ALL TABLE o) a
                    UNION ALL SELECT 'missing  ', t::text FROM (TABLE o EXCEPT ALL TABLE r) b) d""".formatted(row, relation, oracle);
    }
}
