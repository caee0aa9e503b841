package dev.countersink.tally;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * Generates queries over the tables a, b, c and p of sql/tests/derive/fuzz.sql: joins of all kinds, subqueries, LATERAL, CTEs,
 * recursion, set operations, groups, windows, DISTINCT ON, LIMIT and conditions with and without subqueries. What such a query
 * returns depends on the rows alone. Not every one is valid.
 */
final class RandomQueries {
    private static final int MOST_LEVELS = 3;
    private static final List<Relation> TABLES = List.of(
            new Relation("a", List.of("id", "x", "y", "g")),
            new Relation("b", List.of("id", "x", "a_id", "c_id")),
            new Relation("c", List.of("id", "v", "x", "b_id")),
            new Relation("p", List.of("id", "k", "x", "b_id")));

    private final Random random;
    private final List<Relation> ctes = new ArrayList<>();
    private int names;

    RandomQueries(long seed) {
        this.random = new Random(seed);
    }

    /** A query, and the columns to keep it by. */
    record Query(String sql, List<String> key) {}

    /** A table, a CTE or an alias, with its columns. */
    private record Relation(String name, List<String> columns) {}

    /** A part of FROM. */
    private record From(String sql, List<Relation> aliases) {}

    Query next() {
        ctes.clear();
        int width = 2 + random.nextInt(2);
        List<String> columns = new ArrayList<>(outputs(width));
        String sql = query(0, List.of(), width);
        if (chance(0.5)) {
            String key = chance(0.3) ? "o1, o2" : "o1";
            String all = String.join(", ", columns);
            return new Query(
                    "SELECT %1$s, count(*) AS n, string_agg(concat_ws(',', %2$s), '|' ORDER BY %2$s) AS doc FROM (%3$s) z GROUP BY %1$s"
                            .formatted(key, all, sql),
                    List.of(key.split(", ")));
        }
        Collections.shuffle(columns, random);
        return new Query(sql, columns.subList(0, chance(0.3) ? 2 : 1));
    }

    private String query(int level, List<Relation> outer, int width) {
        double dice = random.nextDouble();
        if (dice < 0.12 && level < 2) {
            return withCtes(level, outer, width);
        } else if (dice < 0.24 && level < 2) {
            String operation = one("UNION", "UNION ALL", "EXCEPT", "INTERSECT", "EXCEPT ALL");
            return "(%s) %s (%s)"
                    .formatted(select(level + 1, outer, width), operation, select(level + 1, outer, width));
        } else if (dice < 0.3 && level > 0) {
            String alias = name("l");
            String order = outputs(width).stream()
                    .map(o -> alias + '.' + o + one("", " DESC"))
                    .collect(Collectors.joining(", "));
            return "SELECT * FROM (%s) %s ORDER BY %s LIMIT %d"
                    .formatted(select(level + 1, outer, width), alias, order, 1 + random.nextInt(2));
        }
        return select(level, outer, width);
    }

    private String withCtes(int level, List<Relation> outer, int width) {
        int before = ctes.size();
        List<String> parts = new ArrayList<>();
        for (int n = 1 + random.nextInt(2); n > 0; n--) {
            String cte = name("cte");
            parts.add("%s AS %s(%s)".formatted(cte, one("", "MATERIALIZED "), query(level + 1, List.of(), 2)));
            ctes.add(new Relation(cte, outputs(2)));
        }
        if (chance(0.3)) {
            String cte = name("rec");
            From start = item(level + 1, List.of());
            From step = item(level + 1, List.of());
            parts.add(
                    "%1$s AS (SELECT %2$s AS o1, %3$s AS o2, 0 AS n FROM %4$s UNION SELECT r.o1, %5$s, r.n + 1 FROM %1$s r JOIN %6$s ON %7$s = r.o2 WHERE r.n < 3)"
                            .formatted(
                                    cte,
                                    column(start.aliases()),
                                    column(start.aliases()),
                                    start.sql(),
                                    column(step.aliases()),
                                    step.sql(),
                                    column(step.aliases())));
            ctes.add(new Relation(cte, outputs(2)));
        }
        String sql = "WITH RECURSIVE %s %s".formatted(String.join(", ", parts), select(level + 1, outer, width));
        ctes.subList(before, ctes.size()).clear();
        return sql;
    }

    private String select(int level, List<Relation> outer, int width) {
        From from = from(level, outer, 1 + random.nextInt(3));
        List<Relation> inner = from.aliases();
        List<Relation> seen = chance(0.3) ? both(inner, outer) : inner;
        List<String> conditions = new ArrayList<>();
        if (!outer.isEmpty() && chance(0.8)) {
            conditions.add(column(inner) + " = " + column(outer));
        }
        while (chance(0.35)) {
            conditions.add(condition(seen, level));
        }
        String where = conditions.isEmpty() ? "" : " WHERE " + String.join(" AND ", conditions);
        double dice = random.nextDouble();
        if (dice < 0.3) {
            return grouped(level, from, seen, where, width);
        }
        List<String> values = new ArrayList<>();
        for (int i = 0; i < width; i++) {
            values.add(chance(0.4) ? value(seen, level) : column(inner));
        }
        if (dice < 0.4) {
            String part = column(inner);
            values.set(
                    width - 1,
                    "(%s OVER (PARTITION BY %s))::int"
                            .formatted(one("count(*)", "max(%s)".formatted(column(inner))), part));
            if (chance(0.6)) {
                values.set(0, part);
            }
        }
        String distinct = dice > 0.9 ? "DISTINCT ON (" + values.get(0) + ") " : dice > 0.8 ? "DISTINCT " : "";
        String order = dice > 0.9 ? " ORDER BY " + String.join(", ", values) : "";
        return "SELECT %s%s FROM %s%s%s".formatted(distinct, named(values), from.sql(), where, order);
    }

    private String grouped(int level, From from, List<Relation> seen, String where, int width) {
        int keys = 1 + random.nextInt(width - 1);
        List<String> values = new ArrayList<>();
        for (int i = 0; i < width; i++) {
            values.add(
                    i < keys
                            ? column(from.aliases())
                            : aggregate(value(seen, level + 1), condition(seen, MOST_LEVELS)));
        }
        String having =
                chance(0.2) ? " HAVING " + one("count(*) > 1", "max(%s) > 1".formatted(column(from.aliases()))) : "";
        String group = String.join(", ", values.subList(0, keys));
        return "SELECT %s FROM %s%s GROUP BY %s%s"
                .formatted(named(values), from.sql(), where, chance(0.1) ? "ROLLUP (" + group + ")" : group, having);
    }

    private String aggregate(String value, String condition) {
        return one(
                        "count(*)::int",
                        "count(DISTINCT %s)::int",
                        "max(%s)",
                        "min(%s)",
                        "sum(%s)::int",
                        "cardinality(array_agg(DISTINCT %s))",
                        "(count(*) FILTER (WHERE " + condition + "))::int")
                .replace("%s", value);
    }

    private From from(int level, List<Relation> outer, int members) {
        From all = item(level, outer);
        for (int i = 1; i < members; i++) {
            String join = one("JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN");
            boolean lateral = !join.startsWith("RIGHT") && !join.startsWith("FULL");
            From next = item(level, lateral ? both(all.aliases(), outer) : outer);
            List<Relation> together = both(all.aliases(), next.aliases());
            String on = " ON %s = %s".formatted(column(next.aliases()), column(all.aliases()));
            if (join.startsWith("CROSS")) {
                on = "";
            } else if (lateral && chance(0.3)) {
                on = on.replace(" = ", one(" IS NOT DISTINCT FROM ", " = ")) + " AND " + condition(together, level + 1);
            }
            all = new From("%s %s %s%s".formatted(all.sql(), join, next.sql(), on), together);
        }
        return all;
    }

    private From item(int level, List<Relation> outer) {
        double dice = random.nextDouble();
        if (dice < 0.75 || level >= MOST_LEVELS - 1) {
            Relation table = dice > 0.6 && !ctes.isEmpty() ? one(ctes) : one(TABLES);
            String alias = name("t");
            return new From(table.name() + ' ' + alias, List.of(new Relation(alias, table.columns())));
        }
        String alias = name("s");
        if (dice < 0.82) {
            return new From(
                    outer.isEmpty()
                            ? "(VALUES (1, 2), (2, NULL), (3, 3)) %s(o1, o2)".formatted(alias)
                            : "LATERAL unnest(ARRAY[%s, %s]) WITH ORDINALITY %s(o1, o2)"
                                    .formatted(column(outer), value(outer, MOST_LEVELS), alias),
                    List.of(new Relation(alias, outputs(2))));
        }
        int width = 2 + random.nextInt(2);
        return new From(
                "%s(%s) %s".formatted(outer.isEmpty() ? "" : "LATERAL ", query(level + 1, outer, width), alias),
                List.of(new Relation(alias, outputs(width))));
    }

    private String condition(List<Relation> seen, int level) {
        double dice = random.nextDouble();
        String left = column(seen);
        if (dice < 0.3) {
            return left + ' ' + one("=", "=", "<>", "<", ">=") + ' ' + value(seen, level + 1);
        } else if (dice < 0.4) {
            return left + " IS " + one("", "NOT ") + "DISTINCT FROM " + value(seen, MOST_LEVELS);
        } else if (dice < 0.46) {
            return left + " IS " + one("", "NOT ") + "NULL";
        } else if (dice < 0.52) {
            return "(%s, %s) = (%s, %s)".formatted(left, column(seen), value(seen, MOST_LEVELS), column(seen));
        } else if (dice < 0.58) {
            return "%s IN (%s, 3)".formatted(left, value(seen, MOST_LEVELS));
        } else if (dice < 0.66) {
            return "(%s OR %s)".formatted(condition(seen, level + 1), condition(seen, level + 1));
        } else if (dice < 0.72) {
            return "NOT (%s)".formatted(condition(seen, level + 1));
        } else if (level >= 2) {
            return left + " = " + value(seen, MOST_LEVELS);
        }
        From from = from(level + 1, seen, 1 + random.nextInt(2));
        String where = chance(0.85)
                ? column(from.aliases()) + " = " + column(seen)
                : condition(both(from.aliases(), seen), level + 1);
        return dice < 0.9
                ? "%sEXISTS (SELECT FROM %s WHERE %s)".formatted(one("", "NOT "), from.sql(), where)
                : "%s %s (SELECT %s FROM %s WHERE %s)"
                        .formatted(
                                left,
                                one("IN", "IN", "NOT IN", "<> ALL", ">= ALL"),
                                column(from.aliases()),
                                from.sql(),
                                where);
    }

    private String value(List<Relation> seen, int level) {
        double dice = random.nextDouble();
        if (dice < 0.1) {
            return Integer.toString(random.nextInt(5));
        } else if (dice < 0.65 || level > MOST_LEVELS) {
            return column(seen);
        } else if (dice < 0.73) {
            return "coalesce(%s, %s)"
                    .formatted(column(seen), chance(0.5) ? one("0", "1", "2") : value(seen, level + 1));
        } else if (dice < 0.8) {
            return "(%s %s %s)".formatted(column(seen), one("+", "-"), column(seen));
        } else if (dice < 0.86) {
            return "CASE WHEN %s THEN %s ELSE %s END"
                    .formatted(condition(seen, MOST_LEVELS), column(seen), value(seen, level + 1));
        } else if (dice < 0.9) {
            return one("nullif(%1$s, %2$s)", "(%1$s IS NULL)::int").formatted(column(seen), column(seen));
        } else if (level >= 2) {
            return column(seen);
        }
        From from = from(level + 1, seen, 1);
        return "(SELECT %s(%s) FROM %s WHERE %s = %s)::int"
                .formatted(
                        one("max", "min", "count"),
                        column(from.aliases()),
                        from.sql(),
                        column(from.aliases()),
                        column(seen));
    }

    private String column(List<Relation> seen) {
        Relation relation = one(seen);
        return relation.name() + '.' + one(relation.columns());
    }

    private static List<String> outputs(int width) {
        return IntStream.rangeClosed(1, width).mapToObj(i -> "o" + i).toList();
    }

    private static String named(List<String> values) {
        return IntStream.range(0, values.size())
                .mapToObj(i -> values.get(i) + " AS o" + (i + 1))
                .collect(Collectors.joining(", "));
    }

    private static List<Relation> both(List<Relation> some, List<Relation> others) {
        List<Relation> all = new ArrayList<>(some);
        all.addAll(others);
        return all;
    }

    private String name(String prefix) {
        names++;
        return prefix + names;
    }

    private boolean chance(double probability) {
        return random.nextDouble() < probability;
    }

    private <T> T one(List<T> choices) {
        return choices.get(random.nextInt(choices.size()));
    }

    private String one(String... choices) {
        return choices[random.nextInt(choices.length)];
    }
}
