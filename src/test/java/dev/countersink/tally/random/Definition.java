package dev.countersink.tally.random;

import dev.countersink.tally.random.JoinTree.Alias;
import dev.countersink.tally.random.Table.Column;
import dev.countersink.tally.random.Table.Link;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** A random view with a key: one row or several rows a key, or rows aggregated by a link or a value. */
final class Definition {
    /** A column of the view. */
    record Output(String name, Type type, String expression, boolean loose) {}

    /** A table that has a link to another one. */
    private record Below(Table table, Link link) {}

    private static final List<String> NAMES = List.of(
            "a",
            "b",
            "value",
            "Some Name",
            "order",
            "p\"q",
            "n",
            "s",
            "tally",
            "d",
            "f",
            "t",
            "ö",
            "data",
            "k",
            "m",
            "changed",
            "pending",
            "sum",
            "g",
            "r",
            "x",
            "y");

    private final RandomSchema schema;
    private final Random random;
    private final JoinTree tree;
    private final List<Output> key = new ArrayList<>();
    private final List<Output> identity = new ArrayList<>();
    private final List<Output> others = new ArrayList<>();
    private final StringBuilder from = new StringBuilder();
    private final List<String> conditions = new ArrayList<>();
    private final List<String> names = new ArrayList<>(NAMES);
    private String suffix = "";

    private Definition(RandomSchema schema, Random random, Table root, List<Column> keyColumns) {
        this.schema = schema;
        this.random = random;
        this.tree = new JoinTree(root, keyColumns);
        Collections.shuffle(names, random);
        from.append(root.sql()).append(" t0");
        for (Column column : keyColumns) {
            key.add(new Output(
                    "key " + key.size(),
                    column.type(),
                    tree.root().column(column),
                    keyColumns != root.key() && !column.type().exact()));
        }
    }

    static Definition random(RandomSchema schema, Random random) {
        List<Table> children =
                schema.tables().stream().filter(t -> !t.links().isEmpty()).toList();
        int shape = random.nextInt(6);
        if (shape < 3 || children.isEmpty()) {
            Table root = Type.any(schema.tables(), random);
            return new Definition(schema, random, root, root.key()).oneRow();
        }
        Table child = Type.any(children, random);
        Link link = Type.any(child.links(), random);
        if (shape == 3) {
            return new Definition(schema, random, link.parent(), link.parent().key()).severalRows(child, link);
        }
        List<Column> values =
                child.values().stream().filter(c -> c.type().keys()).toList();
        List<Column> by = shape == 4 || values.isEmpty() ? link.columns() : List.of(Type.any(values, random));
        return new Definition(schema, random, child, by).addedUp();
    }

    JoinTree tree() {
        return tree;
    }

    List<Output> key() {
        return key;
    }

    /** What makes a row unique within its key; empty for one row a key. */
    List<Output> identity() {
        return identity;
    }

    List<Output> outputs() {
        return Stream.of(key, identity, others).flatMap(List::stream).toList();
    }

    /** Whether joined rows may be filtered out. Then the stored rows do not show all links. */
    boolean filtered() {
        return !conditions.isEmpty();
    }

    String select() {
        String columns = outputs().stream()
                .map(o -> o.expression() + " AS " + Table.quoted(o.name()))
                .collect(Collectors.joining(", "));
        String where = conditions.isEmpty() ? "" : " WHERE " + String.join(" AND ", conditions);
        return "SELECT " + columns + " FROM " + from + where + suffix;
    }

    private Definition oneRow() {
        joinUp(random.nextInt(4));
        for (int i = random.nextInt(3); i > 0; i--) {
            below(this::subquery);
        }
        if (random.nextInt(4) == 0) {
            below(this::best);
        }
        for (int i = random.nextInt(2, 6); i > 0; i--) {
            expression();
        }
        filter();
        return this;
    }

    private Definition severalRows(Table child, Link link) {
        Alias rows = tree.down(child, tree.root(), link, false);
        from.append(random.nextBoolean() ? " JOIN " : " LEFT JOIN ").append(rows.joined());
        for (Column column : child.key()) {
            identity.add(new Output("id " + identity.size(), column.type(), rows.column(column), false));
        }
        joinUp(random.nextInt(3));
        for (int i = random.nextInt(1, 4); i > 0; i--) {
            expression();
        }
        Column value = Type.any(child.values(), random);
        String window = " OVER (PARTITION BY %s ORDER BY %s)".formatted(keyOf(tree.root()), keyOf(rows));
        output(Type.BIGINT, "row_number()" + window);
        output(value.type(), "lag(" + rows.column(value) + ")" + window);
        filter();
        return this;
    }

    private Definition addedUp() {
        joinUp(random.nextInt(3));
        output(Type.BIGINT, "count(*)");
        for (int i = random.nextInt(1, 4); i > 0; i--) {
            Alias alias = Type.any(tree.visible(), random);
            aggregate(alias, keyOf(tree.root()), "%s");
        }
        filter();
        suffix = " GROUP BY " + key.stream().map(Output::expression).collect(Collectors.joining(", "));
        if (random.nextInt(4) == 0) {
            suffix += " HAVING count(*) > 1";
        }
        return this;
    }

    private void joinUp(int count) {
        for (int i = 0; i < count; i++) {
            Alias via = Type.any(tree.visible(), random);
            if (!via.table().links().isEmpty()) {
                Link link = Type.any(via.table().links(), random);
                Alias parent = tree.up(via, link, false);
                boolean left = random.nextInt(3) < (link.nullable() ? 2 : 1);
                from.append(left ? " LEFT JOIN " : " JOIN ").append(parent.joined());
            }
        }
    }

    private interface Use {
        void of(Alias via, Below below);
    }

    private void below(Use use) {
        Alias via = Type.any(tree.visible(), random);
        List<Below> all = schema.tables().stream()
                .flatMap(t -> t.links().stream()
                        .filter(l -> l.parent() == via.table())
                        .map(l -> new Below(t, l)))
                .toList();
        if (!all.isEmpty()) {
            use.of(via, Type.any(all, random));
        }
    }

    /** An aggregate of child rows, possibly only of those with certain parents. */
    private void subquery(Alias via, Below below) {
        Alias rows = tree.down(below.table(), via, below.link(), true);
        String query = rows.table().sql() + " " + rows.name();
        String where = below.link().joins(rows.name(), via.name());
        if (!rows.table().links().isEmpty() && random.nextInt(3) == 0) {
            Alias other = tree.up(rows, Type.any(rows.table().links(), random), true);
            query += " JOIN " + other.joined();
            where += " AND " + condition(other);
        }
        if (random.nextInt(3) == 0) {
            where += " AND " + condition(rows);
        }
        String rest = " FROM " + query + " WHERE " + where + ")";
        if (random.nextInt(4) == 0) {
            output(Type.BOOLEAN, "EXISTS (SELECT" + rest);
        } else {
            aggregate(rows, keyOf(rows), "(SELECT %s" + rest.replace("%", "%%"));
        }
    }

    /** A value of the first child row. */
    private void best(Alias via, Below below) {
        Alias rows = tree.down(below.table(), via, below.link(), true);
        Column value = Type.any(rows.table().values(), random);
        Column by = Type.any(rows.table().values(), random);
        by = by.type().compares() ? by : rows.table().key().get(0);
        String lateral = "l" + rows.name();
        from.append(
                " LEFT JOIN LATERAL (SELECT %s AS best FROM %s %s WHERE %s ORDER BY %s DESC NULLS LAST, %s LIMIT 1) %s ON true"
                        .formatted(
                                rows.column(value),
                                rows.table().sql(),
                                rows.name(),
                                below.link().joins(rows.name(), via.name()),
                                rows.column(by),
                                keyOf(rows),
                                lateral));
        output(value.type(), lateral + ".best");
    }

    private void aggregate(Alias alias, String order, String in) {
        Column value = Type.any(alias.table().values(), random);
        Type type = value.type();
        String v = alias.column(value);
        switch (random.nextInt(6)) {
            case 0 ->
                output(Type.BIGINT, in.formatted(type.compares() ? "count(DISTINCT " + v + ")" : "count(" + v + ")"));
            case 1 -> output(Type.BIGINT, in.formatted("count(" + v + ")"));
            case 2 ->
                output(
                        Type.JSONB,
                        in.formatted("jsonb_agg(" + (type.steady() ? v : v + " IS NULL") + " ORDER BY " + order + ")"));
            case 3 -> output(Type.BOOLEAN, in.formatted("bool_or(" + type.condition(v, random) + ")"));
            default -> {
                if (type == Type.INT || type == Type.NUMERIC || type == Type.AMOUNT || type == Type.SMALL) {
                    output(type.sum(), in.formatted("sum(" + v + ")"));
                } else if (type.ordered() && type.exact()) {
                    output(type, in.formatted((random.nextBoolean() ? "min(" : "max(") + v + ")"));
                } else {
                    output(Type.BIGINT, in.formatted("count(*)"));
                }
            }
        }
    }

    private void expression() {
        Alias alias = Type.any(tree.visible(), random);
        Column column = Type.any(alias.table().columns(), random);
        Column value = Type.any(alias.table().values(), random);
        Type type = column.type();
        String e = alias.column(column);
        switch (random.nextInt(9)) {
            case 0 -> output(type, "CASE WHEN %s THEN %s END".formatted(condition(alias), e));
            case 1 -> output(Type.BOOLEAN, "(" + type.condition(e, random) + ")");
            case 2 ->
                output(
                        Type.JSONB,
                        "jsonb_build_object('x', %s, 'y', %s)"
                                .formatted(steady(e, type), steady(alias.column(value), value.type())));
            case 3 ->
                output(
                        Type.JSONB,
                        alias.table().columns().stream().allMatch(c -> c.type().steady())
                                ? "to_jsonb(" + alias.name() + ")"
                                : "to_jsonb(" + steady(e, type) + ")");
            case 4 -> {
                if (type == Type.INT || type == Type.NUMERIC) {
                    output(Type.NUMERIC, "coalesce(%s, 0) * 1.5".formatted(e));
                } else if (type == Type.TEXT) {
                    output(Type.TEXT, "upper(%s) || '-'".formatted(e));
                } else {
                    output(
                            Type.INT,
                            "random_app.twist(CASE WHEN %s THEN 1 ELSE 2 END)".formatted(type.condition(e, random)));
                }
            }
            default -> output(type, e);
        }
    }

    private static String steady(String e, Type type) {
        return type.steady() ? e : "(" + e + " IS NULL)";
    }

    private void filter() {
        if (random.nextInt(5) < 2) {
            conditions.add(condition(Type.any(tree.visible(), random)));
        }
    }

    private String condition(Alias alias) {
        Column column = Type.any(alias.table().values(), random);
        return "(" + column.type().condition(alias.column(column), random) + ")";
    }

    private void output(Type type, String expression) {
        others.add(new Output(names.get(others.size()), type, expression, false));
    }

    private static String keyOf(Alias alias) {
        return String.join(", ", Table.prefixed(alias.name(), alias.table().key()));
    }
}
