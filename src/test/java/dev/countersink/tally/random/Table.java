package dev.countersink.tally.random;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** A table of a random schema: a key of one or two columns, values, links to the keys of other tables. */
final class Table {
    /** A column, which may be renamed while others use it. */
    static final class Column {
        private final Type type;
        private final boolean nullable;
        private volatile String name;

        Column(String name, Type type, boolean nullable) {
            this.name = name;
            this.type = type;
            this.nullable = nullable;
        }

        String name() {
            return name;
        }

        Type type() {
            return type;
        }

        boolean nullable() {
            return nullable;
        }

        void rename(String name) {
            this.name = name;
        }
    }

    /** A foreign key, possibly to the same table. */
    record Link(List<Column> columns, Table parent, boolean nullable, String actions) {
        boolean deferred() {
            return actions.contains("DEFERRED");
        }

        /** The condition under which this link of alias {@code child} leads to alias {@code up}. */
        String joins(String child, String up) {
            return equal(prefixed(child, columns), prefixed(up, parent.key()));
        }
    }

    private final String schema;
    private final String born;
    private volatile String name;
    private final List<Column> key;
    private final List<Column> values;
    private final List<Link> links = new ArrayList<>();
    private final int partitions;
    private final int keys;

    /**
     * @param partitions how many, by a hash of the key's first column; 0: an ordinary table
     * @param keys how many different keys there can be
     */
    Table(String schema, String name, List<Column> key, List<Column> values, int partitions, int keys) {
        this.schema = schema;
        this.born = name;
        this.name = name;
        this.key = key;
        this.values = values;
        this.partitions = partitions;
        this.keys = keys;
    }

    void add(Link link) {
        links.add(link);
    }

    List<Column> key() {
        return key;
    }

    List<Column> values() {
        return values;
    }

    List<Link> links() {
        return links;
    }

    int partitions() {
        return partitions;
    }

    int keys() {
        return keys;
    }

    /** Every column, in the order of the table. */
    List<Column> columns() {
        return Stream.concat(
                        Stream.concat(key.stream(), values.stream()),
                        links.stream().flatMap(link -> link.columns().stream()))
                .toList();
    }

    String sql() {
        return quoted(schema) + "." + quoted(name);
    }

    /** Its name without the schema. */
    String name() {
        return name;
    }

    void rename(String name) {
        this.name = name;
    }

    String partition(int i) {
        return quoted(schema) + "." + quoted(born + " part " + i);
    }

    /** The statement that makes a missing partition. */
    String partitionDdl(int i) {
        return "CREATE TABLE %s PARTITION OF %s FOR VALUES WITH (MODULUS %d, REMAINDER %d)"
                .formatted(partition(i), sql(), partitions, i);
    }

    /** The i-th key, as literals. */
    List<String> keyOf(int i) {
        // composite keys share prefixes
        return key.size() == 1
                ? List.of(key.get(0).type().key(i))
                : List.of(key.get(0).type().key(i / 4), key.get(1).type().key(i % 4));
    }

    List<String> ddl() {
        List<String> statements = new ArrayList<>();
        String columns = columns().stream()
                .map(c -> quoted(c.name()) + " " + c.type().sql() + (c.nullable() ? "" : " NOT NULL"))
                .collect(Collectors.joining(", "));
        String constraints = links.stream()
                .map(link -> ", FOREIGN KEY (%s) REFERENCES %s %s"
                        .formatted(list(link.columns()), link.parent().sql(), link.actions()))
                .collect(Collectors.joining());
        statements.add("CREATE TABLE %s (%s, PRIMARY KEY (%s)%s)%s"
                .formatted(
                        sql(),
                        columns,
                        list(key),
                        constraints,
                        partitions == 0
                                ? ""
                                : " PARTITION BY HASH (%s)"
                                        .formatted(quoted(key.get(0).name()))));
        for (int i = 0; i < partitions; i++) {
            statements.add(partitionDdl(i));
        }
        return statements;
    }

    static String quoted(String name) {
        return '"' + name.replace("\"", "\"\"") + '"';
    }

    static String list(List<Column> columns) {
        return columns.stream().map(c -> quoted(c.name())).collect(Collectors.joining(", "));
    }

    static List<String> prefixed(String alias, List<Column> columns) {
        return columns.stream().map(c -> alias + "." + quoted(c.name())).toList();
    }

    static String equal(List<String> a, List<String> b) {
        List<String> pairs = new ArrayList<>();
        for (int i = 0; i < a.size(); i++) {
            pairs.add(a.get(i) + " = " + b.get(i));
        }
        return String.join(" AND ", pairs);
    }
}
