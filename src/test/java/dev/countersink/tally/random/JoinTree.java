package dev.countersink.tally.random;

import dev.countersink.tally.random.Table.Column;
import dev.countersink.tally.random.Table.Link;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * The tables of a definition, and the links that join each of them to the table with the key. {@code expand} follows these links
 * from a changed row to the keys that it affects.
 */
final class JoinTree {
    /**
     * One use of a table.
     *
     * @param up whether {@code via} has the link to it; otherwise it has the link to {@code via}
     * @param hidden whether it is in a subquery, where the rest of the definition cannot refer to it
     */
    record Alias(String name, Table table, Alias via, Link link, boolean up, boolean hidden) {
        String column(Column column) {
            return name + "." + Table.quoted(column.name());
        }

        String joined() {
            return table.sql() + " " + name + " ON " + (up ? link.joins(via.name, name) : link.joins(name, via.name));
        }

        /** The columns that a change of this table must log: its ends of the link toward the key. */
        private List<Column> told(List<Column> key) {
            return via == null ? key : up ? table.key() : link.columns();
        }
    }

    private final List<Column> key;
    private final List<Alias> aliases = new ArrayList<>();

    /** @param key columns of the table {@code root}: its own key, or the columns by which its rows are aggregated */
    JoinTree(Table root, List<Column> key) {
        this.key = key;
        aliases.add(new Alias("t0", root, null, null, false, false));
    }

    Alias root() {
        return aliases.get(0);
    }

    /** The aliases that the definition can refer to. */
    List<Alias> visible() {
        return aliases.stream().filter(a -> !a.hidden()).toList();
    }

    Alias up(Alias via, Link link, boolean hidden) {
        return add(new Alias("t" + aliases.size(), link.parent(), via, link, true, hidden));
    }

    Alias down(Table child, Alias via, Link link, boolean hidden) {
        return add(new Alias("t" + aliases.size(), child, via, link, false, hidden));
    }

    List<Table> tables() {
        return aliases.stream().map(Alias::table).distinct().toList();
    }

    /** Whether a table occurs only as the one with the key, so that its changed rows hold the key. */
    boolean namesKey(Table table) {
        return uses(table).equals(List.of(root()));
    }

    List<Alias> uses(Table table) {
        return aliases.stream().filter(a -> a.table() == table).toList();
    }

    /** The columns of a table to watch. */
    Set<String> watched(Table table) {
        return uses(table).stream()
                .flatMap(a -> a.told(key).stream())
                .map(Column::name)
                .collect(Collectors.toCollection(LinkedHashSet::new));
    }

    /** Leads from changed rows of a table to keys, through the present links; former links log themselves. */
    String expand(Table table) {
        return uses(table).stream().map(this::walk).collect(Collectors.joining(" UNION ALL "));
    }

    private String walk(Alias start) {
        StringBuilder from = new StringBuilder("changed ch");
        String row = "ch"; // the alias by which columns of "at" can be had, null when only its key is known
        List<String> known = null;
        Alias at = start;
        while (at.via() != null) {
            if (at.up()) {
                List<String> target =
                        known != null ? known : Table.prefixed(row, at.table().key());
                from.append(" JOIN %s %s ON %s"
                        .formatted(
                                at.via().table().sql(),
                                at.via().name(),
                                Table.equal(
                                        Table.prefixed(
                                                at.via().name(), at.link().columns()),
                                        target)));
                row = at.via().name();
                known = null;
            } else {
                row = row != null ? row : look(from, at, known);
                known = Table.prefixed(row, at.link().columns());
                row = null;
            }
            at = at.via();
        }
        if (row == null && key != at.table().key()) {
            row = look(from, at, known);
        }
        return "SELECT %s FROM %s".formatted(String.join(", ", row == null ? known : Table.prefixed(row, key)), from);
    }

    private static String look(StringBuilder from, Alias at, List<String> known) {
        from.append(" JOIN %s %s ON %s"
                .formatted(
                        at.table().sql(),
                        at.name(),
                        Table.equal(Table.prefixed(at.name(), at.table().key()), known)));
        return at.name();
    }

    private Alias add(Alias alias) {
        aliases.add(alias);
        return alias;
    }
}
