package dev.countersink.testing;

/** The differences between a derived relation and its oracle: EXCEPT ALL in both directions, in one snapshot. */
public final class Differences {
    private Differences() {}

    /** Compares rows as JSON, that is by names and values of their columns. */
    public static String sql(String relation, String oracle) {
        return sql("to_jsonb(x)", relation, oracle);
    }

    /**
     * A query for one text: a line for each superfluous row and each missing row; empty if there is none.
     *
     * @param row the expression to compare for a row with alias {@code x}: {@code x::text} distinguishes what {@code to_jsonb(x)}
     *     does not, such as two scales of a number
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
