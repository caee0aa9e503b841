package dev.countersink.tally.random;

import dev.countersink.tally.random.Table.Column;
import dev.countersink.tally.random.Table.Link;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Random;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** Random statements that write to the tables of a random schema. */
final class RandomStatements {
    private final RandomSchema schema;
    private final Random random;

    RandomStatements(RandomSchema schema, Random random) {
        this.schema = schema;
        this.random = random;
    }

    String next() {
        Table t = anyTable();
        return switch (random.nextInt(23)) {
            case 0 -> insert(t, keys(t, 1));
            case 1, 2, 3 -> insert(t, keys(t, 4)) + " ON CONFLICT DO NOTHING";
            case 4 -> insert(t, keys(t, 15)) + " ON CONFLICT DO NOTHING";
            case 5, 6 ->
                insert(t, keys(t, 4))
                        + " ON CONFLICT (%s) DO UPDATE SET %s".formatted(Table.list(t.key()), assign(t, "excluded"));
            case 7 -> merge(t);
            case 8, 9, 10 -> updateValues(t);
            case 11, 12 -> updateLink(t);
            case 13 -> updateFrom(t);
            case 14 -> updateKey(t);
            case 15, 16 -> "DELETE FROM %s WHERE %s".formatted(t.sql(), named(t, keys(t, 2)));
            case 17 -> deleteByValue(t);
            case 18 -> inPartition(t);
            case 19 -> inWith(t);
            case 20, 21 -> inFunction();
            default -> inBlock();
        };
    }

    /** A statement that a trigger may execute. */
    String simple() {
        String sql = next();
        return sql.startsWith("DO ") || sql.startsWith("SELECT ") ? updateValues(anyTable()) : sql;
    }

    /** A query whose rows can be copied into the table. */
    String rowsToCopy(Table t) {
        return "SELECT * FROM (%s) fresh WHERE NOT EXISTS (SELECT FROM %s x WHERE %s)"
                .formatted(
                        rows(t, keys(t, 8)),
                        t.sql(),
                        Table.equal(Table.prefixed("x", t.key()), Table.prefixed("fresh", t.key())));
    }

    Table anyTable() {
        return Type.any(schema.tables(), random);
    }

    /** Inserts children before their parents, which only a deferred constraint allows; empty if there is none. */
    List<String> childrenFirst() {
        Table t = anyTable();
        for (Link link : t.links()) {
            if (link.deferred() && link.parent() != t) {
                int parent = random.nextInt(link.parent().keys());
                String child = "UPDATE %s SET (%s) = ROW(%s) WHERE %s"
                        .formatted(
                                t.sql(),
                                Table.list(link.columns()),
                                String.join(", ", link.parent().keyOf(parent)),
                                named(t, keys(t, 3)));
                return List.of(child, insert(link.parent(), List.of(parent)) + " ON CONFLICT DO NOTHING");
            }
        }
        return List.of();
    }

    String truncate() {
        Table t = anyTable();
        boolean part = t.partitions() > 0 && random.nextBoolean();
        return "TRUNCATE %s CASCADE".formatted(part ? t.partition(random.nextInt(t.partitions())) : t.sql());
    }

    /** Several statements in one, on one table or on two. */
    private String inWith(Table t) {
        Table other = anyTable();
        String first = random.nextBoolean() ? updateValues(t) : insert(t, keys(t, 3)) + " ON CONFLICT DO NOTHING";
        String second = "DELETE FROM %s WHERE %s".formatted(other.sql(), named(other, keys(other, 2)));
        return "WITH a AS (%s), b AS (%s) %s"
                .formatted(first, second, random.nextBoolean() ? updateValues(other) : updateLink(other));
    }

    private String inFunction() {
        return IntStream.rangeClosed(0, random.nextInt(1, 3))
                .mapToObj(i -> RandomSchema.RUN + "($run$" + simple() + "$run$)")
                .collect(Collectors.joining(", ", "SELECT ", ""));
    }

    private Collection<Integer> keys(Table t, int most) {
        Collection<Integer> keys = new TreeSet<>();
        for (int i = 1 + random.nextInt(most); i > 0; i--) {
            keys.add(random.nextInt(t.keys()));
        }
        return keys;
    }

    private String insert(Table t, Collection<Integer> keys) {
        return "INSERT INTO %s (%s) %s".formatted(t.sql(), Table.list(t.columns()), rows(t, keys));
    }

    /** Rows with these keys, random values, and links to existing rows. */
    private String rows(Table t, Collection<Integer> keys) {
        String values = keys.stream().map(k -> row(t, k)).collect(Collectors.joining(", "));
        List<Column> given = new ArrayList<>(t.key());
        given.addAll(t.values());
        StringBuilder columns = new StringBuilder(String.join(", ", Table.prefixed("v", given)));
        StringBuilder from = new StringBuilder("(VALUES %s) v(%s, r)".formatted(values, Table.list(given)));
        for (int i = 0; i < t.links().size(); i++) {
            Link link = t.links().get(i);
            List<Column> target = link.parent().key();
            String pick = "(SELECT %s FROM %s o%s ORDER BY %s LIMIT 1) l%d"
                    .formatted(
                            Table.list(target),
                            link.parent().sql(),
                            link.nullable() ? " WHERE v.r %% 4 <> %d".formatted(i) : "",
                            shuffled(target, "o", "v.r"),
                            i);
            from.append(link.nullable() ? " LEFT JOIN LATERAL " + pick + " ON true" : " CROSS JOIN LATERAL " + pick);
            for (int c = 0; c < target.size(); c++) {
                columns.append(", l%d.%s AS %s"
                        .formatted(
                                i,
                                Table.quoted(target.get(c).name()),
                                Table.quoted(link.columns().get(c).name())));
            }
        }
        return "SELECT %s FROM %s".formatted(columns, from);
    }

    private String row(Table t, int key) {
        List<String> values = new ArrayList<>(t.keyOf(key));
        t.values().forEach(c -> values.add(value(c)));
        values.add(Integer.toString(random.nextInt(1000)));
        return "(" + String.join(", ", values) + ")";
    }

    String value(Column c) {
        return c.nullable() && random.nextInt(5) == 0
                ? "NULL::" + c.type().sql()
                : c.type().literal(random);
    }

    /** An order that changes with every statement. */
    private String shuffled(List<Column> key, String alias, String more) {
        return "md5(concat_ws(',', %s, %s, %d))"
                .formatted(String.join(", ", Table.prefixed(alias, key)), more, random.nextInt(1000));
    }

    private String assign(Table t, String source) {
        return t.columns().stream()
                .filter(c -> !t.key().contains(c))
                .map(c -> "%s = %s.%s".formatted(Table.quoted(c.name()), source, Table.quoted(c.name())))
                .collect(Collectors.joining(", "));
    }

    private String merge(Table t) {
        String columns = Table.list(t.columns());
        return "MERGE INTO %s t USING (%s) n ON %s WHEN MATCHED AND %s THEN DELETE WHEN MATCHED THEN UPDATE SET %s%s WHEN NOT MATCHED THEN INSERT (%s) VALUES (%s)"
                .formatted(
                        t.sql(),
                        rows(t, keys(t, 4)),
                        Table.equal(Table.prefixed("t", t.key()), Table.prefixed("n", t.key())),
                        "md5(t::text) < '4'",
                        assign(t, "n"),
                        random.nextInt(3) == 0 ? moves(t) : "",
                        columns,
                        String.join(", ", Table.prefixed("n", t.columns())));
    }

    /** Rows of a MERGE that get another key, and so perhaps move to another partition. */
    private String moves(Table t) {
        List<String> to = t.keyOf(random.nextInt(t.keys()));
        return IntStream.range(0, to.size())
                .mapToObj(i -> "%1$s = CASE WHEN md5(t::text) < '8' THEN %2$s ELSE t.%1$s END"
                        .formatted(Table.quoted(t.key().get(i).name()), to.get(i)))
                .collect(Collectors.joining(", ", ", ", ""));
    }

    private String updateValues(Table t) {
        Column c = Type.any(t.values(), random);
        String name = Table.quoted(c.name());
        String set = switch (random.nextInt(4)) {
            case 0 -> name + " = " + name;
            case 1 -> c.type() == Type.INT ? name + " = (" + name + " + 1) % 10" : name + " = " + value(c);
            default -> name + " = " + value(c);
        };
        if (random.nextInt(3) == 0) {
            Column other = Type.any(t.values(), random);
            if (other != c) {
                set += ", " + Table.quoted(other.name()) + " = " + value(other);
            }
        }
        Column by = Type.any(t.values(), random);
        String where = switch (random.nextInt(5)) {
            case 0 -> "true";
            case 1 -> by.type().condition(Table.quoted(by.name()), random);
            default -> named(t, keys(t, 4));
        };
        return "UPDATE %s SET %s WHERE %s".formatted(t.sql(), set, where);
    }

    private String updateLink(Table t) {
        if (t.links().isEmpty()) {
            return updateValues(t);
        }
        Link link = Type.any(t.links(), random);
        String columns = Table.list(link.columns());
        if (link.nullable() && random.nextInt(4) == 0) {
            String nulls = link.columns().stream()
                    .map(c -> Table.quoted(c.name()) + " = NULL")
                    .collect(Collectors.joining(", "));
            return "UPDATE %s SET %s WHERE %s".formatted(t.sql(), nulls, named(t, keys(t, 3)));
        }
        List<Column> key = link.parent().key();
        return "UPDATE %s t SET (%s) = (SELECT %s FROM %s o ORDER BY %s LIMIT 1) WHERE %s"
                .formatted(
                        t.sql(),
                        columns,
                        String.join(", ", Table.prefixed("o", key)),
                        link.parent().sql(),
                        shuffled(key, "o", random.nextBoolean() ? "t::text" : "''"),
                        named(t, keys(t, random.nextInt(4) == 0 ? 30 : 3)));
    }

    private String updateFrom(Table t) {
        if (t.links().isEmpty()) {
            return updateValues(t);
        }
        Link link = Type.any(t.links(), random);
        Column c = Type.any(t.values(), random);
        Column by = Type.any(link.parent().values(), random);
        return "UPDATE %s t SET %s = %s FROM %s p WHERE %s AND %s"
                .formatted(
                        t.sql(),
                        Table.quoted(c.name()),
                        value(c),
                        link.parent().sql(),
                        link.joins("t", "p"),
                        by.type().condition("p." + Table.quoted(by.name()), random));
    }

    private String updateKey(Table t) {
        int from = random.nextInt(t.keys());
        if (random.nextInt(3) == 0) {
            Column spelled = Type.any(t.key(), random);
            String name = Table.quoted(spelled.name());
            return "UPDATE %s SET %s = %s WHERE %s"
                    .formatted(t.sql(), name, spelled.type().respelled(name), named(t, keys(t, 3)));
        }
        int to = random.nextInt(t.keys());
        return "UPDATE %s SET (%s) = ROW(%s) WHERE %s AND NOT EXISTS (SELECT FROM %s WHERE %s)"
                .formatted(
                        t.sql(),
                        Table.list(t.key()),
                        String.join(", ", t.keyOf(to)),
                        named(t, List.of(from)),
                        t.sql(),
                        named(t, List.of(to)));
    }

    private String deleteByValue(Table t) {
        Column by = Type.any(t.values(), random);
        return "DELETE FROM %s WHERE %s AND %s < %d"
                .formatted(
                        t.sql(),
                        by.type().condition(Table.quoted(by.name()), random),
                        "hashtext(" + Table.quoted(t.key().get(0).name()) + "::text) % 4",
                        random.nextInt(2));
    }

    /** The same on a partition instead of the table. */
    private String inPartition(Table t) {
        if (t.partitions() == 0) {
            return updateValues(t);
        }
        int i = random.nextInt(t.partitions());
        Column c = Type.any(t.values(), random);
        return switch (random.nextInt(3)) {
            case 0 ->
                "UPDATE %s SET %s = %s WHERE %s"
                        .formatted(t.partition(i), Table.quoted(c.name()), value(c), named(t, keys(t, 8)));
            case 1 -> "DELETE FROM %s WHERE %s".formatted(t.partition(i), named(t, keys(t, 3)));
            default ->
                "INSERT INTO %s (%s) SELECT * FROM (%s) n WHERE satisfies_hash_partition('%s'::regclass, %d, %d, n.%s) ON CONFLICT DO NOTHING"
                        .formatted(
                                t.partition(i),
                                Table.list(t.columns()),
                                rows(t, keys(t, 6)),
                                t.sql(),
                                t.partitions(),
                                i,
                                Table.quoted(t.key().get(0).name()));
        };
    }

    /** Two statements in a block, which its exception handler may undo. */
    private String inBlock() {
        String body = IntStream.range(0, 2)
                .mapToObj(i -> next())
                .map(s -> s.startsWith("DO ")
                        ? "NULL"
                        : s.startsWith("SELECT ") ? s.replaceFirst("SELECT", "PERFORM") : s)
                .collect(Collectors.joining("; "));
        String undo = random.nextBoolean() ? " EXCEPTION WHEN integrity_constraint_violation THEN NULL;" : "";
        return "DO $block$ BEGIN " + body + ";" + undo + " END $block$";
    }

    private static String named(Table t, Collection<Integer> keys) {
        String all = keys.stream()
                .map(k -> "(" + String.join(", ", t.keyOf(k)) + ")")
                .collect(Collectors.joining(", "));
        return "(%s) IN (%s)".formatted(Table.list(t.key()), all);
    }
}
