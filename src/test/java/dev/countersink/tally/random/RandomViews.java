package dev.countersink.tally.random;

import dev.countersink.tally.random.Definition.Output;
import dev.countersink.tally.random.JoinTree.Alias;
import dev.countersink.tally.random.Table.Column;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.Collectors;

/** Projections over a random schema, rollups on them, and rollups on rollups: their declarations. */
final class RandomViews {
    private static final List<String> NAMES = List.of("fact", "Per Key", "doc's", "größen");

    /** A derived view: its oracle, and its columns. */
    record View(
            String name, String live, String oracle, boolean projection, Map<String, Type> columns, Set<String> loose) {
        /** An expression for row x that can be compared. */
        String row() {
            return columns.entrySet().stream()
                    .map(c -> c.getValue().image("x." + Table.quoted(c.getKey()), loose.contains(c.getKey())))
                    .collect(Collectors.joining(", ", "jsonb_build_array(", ")"));
        }
    }

    /**
     * A projection, the rollups above it, and the statements that make them.
     *
     * @param definitions statements that make its oracle and the views for its redefinitions
     * @param activation the statement that activates it; it may also declare it
     * @param lower the projection that it reads, null if it reads tables
     * @param redefinitions views to which it is redefined in turn; none if another projection reads it
     * @param replacements statements that replace its definition by one that leaves keys out, and then restore it; none if there is no view below it
     */
    record Family(
            View projection,
            List<View> rollups,
            List<String> definitions,
            List<String> declarations,
            List<String> later,
            String activation,
            Family lower,
            List<String> redefinitions,
            List<String> replacements) {}

    private final RandomSchema schema;
    private final Random random;
    private final List<Family> families = new ArrayList<>();

    RandomViews(RandomSchema schema, Random random) {
        this.schema = schema;
        this.random = random;
        int count = random.nextInt(1, 4);
        for (int i = 0; i < count; i++) {
            families.add(family(NAMES.get(i)));
        }
        int at = random.nextInt(families.size());
        Family lower = families.get(at);
        if (random.nextInt(3) == 0 && !lower.declarations().isEmpty()) { // what it reads must be there
            families.set(
                    at,
                    new Family(
                            lower.projection(),
                            lower.rollups(),
                            lower.definitions(),
                            lower.declarations(),
                            lower.later(),
                            lower.activation(),
                            null,
                            List.of(),
                            lower.replacements()));
            families.add(chain(families.get(at)));
        }
    }

    List<Family> families() {
        return families;
    }

    private Family family(String relation) {
        Definition definition = Definition.random(schema, random);
        String in = Type.any(schema.schemas(), random);
        Map<String, Type> columns = new LinkedHashMap<>();
        definition.outputs().forEach(o -> columns.put(o.name(), o.type()));
        Set<String> loose = definition.outputs().stream()
                .filter(Output::loose)
                .map(Output::name)
                .collect(Collectors.toSet());
        String oracle = qualified(in, relation + "_def");
        View projection =
                new View(qualified(in, relation), qualified(in, relation + "_live"), oracle, true, columns, loose);
        List<String> declarations = new ArrayList<>();
        String identity = definition.identity().isEmpty() ? "" : ", " + array(names(definition.identity()));
        declarations.add("SELECT tally.create_projection(%s, %s, %s%s)"
                .formatted(literal(projection.name()), literal(oracle), array(names(definition.key())), identity));
        boolean derived = random.nextInt(3) == 0;
        definition
                .tree()
                .tables()
                .forEach(t -> declarations.add(
                        derived ? derivedWatch(projection, t.sql()) : watch(definition, projection, t)));
        String activation = "SELECT tally.activate(%s)".formatted(literal(projection.name()));
        if (derived && random.nextBoolean()) {
            declarations.clear();
            activation = "SELECT count(*) FROM tally.keep(%s, %s, %s, %s, true)"
                    .formatted(
                            literal(projection.name()),
                            literal(oracle),
                            array(names(definition.key())),
                            definition.identity().isEmpty() ? "NULL" : array(names(definition.identity())));
        }

        String view = "CREATE VIEW %s AS %s".formatted(oracle, definition.select());
        List<String> replacements = new ArrayList<>();
        if (random.nextInt(3) == 0) { // a view on a view
            String inner = qualified(in, relation + " inner");
            view = "CREATE VIEW %s AS %s; CREATE VIEW %s AS SELECT * FROM %s"
                    .formatted(inner, definition.select(), oracle, inner);
            Output key = definition.key().get(0);
            String all = "CREATE OR REPLACE VIEW %s AS SELECT * FROM %s".formatted(oracle, inner);
            replacements.add(all + " WHERE " + key.type().condition(Table.quoted(key.name()), random));
            replacements.add(all);
        }
        return family(in, relation, projection, view, declarations, activation, null, replacements);
    }

    private static String derivedWatch(View projection, String table) {
        return "SELECT tally.watch(%s, %s)".formatted(literal(projection.name()), literal(table));
    }

    /** A projection that reads another one: the same rows, or some of them aggregated. */
    private Family chain(Family lower) {
        String in = Type.any(schema.schemas(), random);
        String oracle = qualified(in, "chain_def");
        Map<String, Type> below = lower.projection().columns();
        List<String> all = List.copyOf(below.keySet());
        List<String> by = all.stream()
                .filter(c -> c.startsWith("key ") || c.startsWith("id "))
                .toList();
        List<String> others = all.stream().filter(c -> !by.contains(c)).toList();
        List<String> values = others.stream()
                .filter(c -> List.of(Type.INT, Type.BIGINT, Type.TEXT, Type.BOOLEAN, Type.DATE)
                        .contains(below.get(c)))
                .toList();
        List<String> compared =
                all.stream().filter(c -> below.get(c).compares()).toList();
        Map<String, Type> columns = new LinkedHashMap<>();
        List<String> key = by;
        String select;
        if (values.isEmpty() || random.nextBoolean()) {
            by.forEach(c -> columns.put(c, below.get(c)));
            others.stream().limit(3).forEach(c -> columns.put(c, below.get(c)));
            select = columns.keySet().stream()
                    .map(Table::quoted)
                    .collect(Collectors.joining(
                            ", ", "SELECT ", " FROM " + lower.projection().name()));
        } else {
            key = List.of(Type.any(values, random));
            columns.put(key.get(0), below.get(key.get(0)));
            columns.put("rows", Type.BIGINT);
            columns.put("kinds", Type.BIGINT);
            String group = Table.quoted(key.get(0));
            select = "SELECT %s, count(*) AS rows, count(DISTINCT %s) AS kinds FROM %s GROUP BY %s"
                    .formatted(
                            group,
                            Table.quoted(Type.any(compared, random)),
                            lower.projection().name(),
                            group);
        }
        View projection =
                new View(qualified(in, "chain"), qualified(in, "chain_live"), oracle, true, columns, Set.of());
        List<String> declarations = new ArrayList<>();
        declarations.add("SELECT tally.create_projection(%s, %s, %s)"
                .formatted(literal(projection.name()), literal(oracle), array(key)));
        declarations.add(
                random.nextInt(3) == 0
                        ? derivedWatch(projection, lower.projection().name())
                        : "SELECT tally.watch(%s, %s, %s)"
                                .formatted(
                                        literal(projection.name()),
                                        literal(lower.projection().name()),
                                        array(key)));
        return family(
                in,
                "chain",
                projection,
                "CREATE VIEW %s AS %s".formatted(oracle, select),
                declarations,
                "SELECT tally.activate(%s)".formatted(literal(projection.name())),
                lower,
                List.of());
    }

    private Family family(
            String in,
            String relation,
            View projection,
            String view,
            List<String> declarations,
            String activation,
            Family lower,
            List<String> replacements) {
        List<View> rollups = new ArrayList<>();
        List<String> later = new ArrayList<>();
        int count = random.nextInt(1, 5);
        for (int i = 0; i < count; i++) {
            View base = rollups.isEmpty() || random.nextInt(3) > 0 ? projection : Type.any(rollups, random);
            String name = relation + " by " + (char) ('A' + i);
            Map<String, Type> given = new LinkedHashMap<>();
            Set<String> loose = new HashSet<>();
            String statement = rollup(in, name, base, given, loose);
            rollups.add(new View(
                    qualified(in, name),
                    qualified(in, name + "_live"),
                    qualified(in, name + "_def"),
                    false,
                    given,
                    loose));
            boolean late = !later.isEmpty() || declarations.isEmpty() || random.nextInt(5) == 0;
            (late ? later : declarations).add(statement);
        }
        String other = qualified(in, relation + "_def2");
        List<String> reordered = new ArrayList<>(projection.columns().keySet());
        Collections.shuffle(reordered, random);
        String more = "CREATE VIEW %s AS SELECT %s, %s AS \"one more\" FROM %s"
                .formatted(
                        other,
                        reordered.stream().map(Table::quoted).collect(Collectors.joining(", ")),
                        // a second copy of what GROUP BY shows of equal values is compared by its image
                        Table.quoted(reordered.stream()
                                .filter(c -> !projection.loose().contains(c))
                                .findFirst()
                                .orElseThrow()),
                        projection.oracle());
        return new Family(
                projection,
                rollups,
                List.of(view, more),
                declarations,
                later,
                activation,
                lower,
                List.of(projection.oracle(), other),
                replacements);
    }

    private String watch(Definition definition, View projection, Table table) {
        JoinTree tree = definition.tree();
        if (tree.namesKey(table) && random.nextInt(4) > 0) {
            return watch(projection, table, List.copyOf(tree.watched(table)), null);
        }
        List<Alias> uses = tree.uses(table);
        if (!definition.identity().isEmpty()
                && !definition.filtered()
                && uses.size() == 1
                && uses.get(0).name().equals("t1")
                && random.nextBoolean()) {
            return watchByIdentity(definition, projection, uses.get(0));
        }
        return watch(projection, table, List.copyOf(tree.watched(table)), tree.expand(table));
    }

    /** A child row tells only which row changed. The stored rows tell its previous parent. */
    private static String watchByIdentity(Definition definition, View projection, Alias rows) {
        List<Column> key = rows.table().key();
        String now = "SELECT %s FROM changed ch JOIN %s x ON %s"
                .formatted(
                        String.join(", ", Table.prefixed("x", rows.link().columns())),
                        rows.table().sql(),
                        Table.equal(Table.prefixed("x", key), Table.prefixed("ch", key)));
        String before = "SELECT %s FROM changed ch JOIN %s x ON %s"
                .formatted(
                        columns("x", definition.key()),
                        projection.name(),
                        Table.equal(
                                definition.identity().stream()
                                        .map(o -> "x." + Table.quoted(o.name()))
                                        .toList(),
                                Table.prefixed("ch", key)));
        return watch(projection, rows.table(), key.stream().map(Column::name).toList(), now + " UNION ALL " + before);
    }

    private static String watch(View projection, Table table, List<String> columns, String expand) {
        return "SELECT tally.watch(%s, %s, %s%s)"
                .formatted(
                        literal(projection.name()),
                        literal(table.sql()),
                        array(columns),
                        expand == null ? "" : ", " + literal(expand));
    }

    private String rollup(String in, String name, View base, Map<String, Type> given, Set<String> loose) {
        List<String> all = new ArrayList<>(base.columns().keySet());
        Collections.shuffle(all, random);
        List<String> groupable =
                all.stream().filter(c -> base.columns().get(c).compares()).toList();
        List<String> groups = groupable.subList(0, Math.min(groupable.size(), random.nextInt(3)));
        groups.forEach(g -> given.put(g, base.columns().get(g)));
        groups.stream().filter(g -> !base.columns().get(g).exact()).forEach(loose::add);
        Map<String, String> measures = new LinkedHashMap<>();
        int count = random.nextInt(1, 6);
        for (int i = 0; i < count; i++) {
            String column = Type.any(all, random);
            String measure =
                    "m" + name.charAt(name.length() - 1) + i + (random.nextInt(3) == 0 ? " \"of\" " + column : "");
            measure(measure, column, base.columns().get(column), measures, given);
            String function = measures.get(measure);
            boolean extremum = function.startsWith("min") || function.startsWith("max");
            if (base.loose().contains(column) && !function.startsWith("count")
                    || extremum && !base.columns().get(column).exact()) {
                loose.add(measure);
            }
        }
        String pairs = measures.entrySet().stream()
                .map(m -> literal(m.getKey()) + ", " + literal(m.getValue()))
                .collect(Collectors.joining(", "));
        String filter = "";
        if (random.nextInt(3) == 0) {
            String column = Type.any(all, random);
            filter = ", filter => " + literal(base.columns().get(column).condition(Table.quoted(column), random));
        }
        return "SELECT tally.create_rollup(%s, %s, %s, jsonb_build_object(%s)%s)"
                .formatted(literal(qualified(in, name)), literal(base.name()), array(groups), pairs, filter);
    }

    private void measure(String name, String column, Type type, Map<String, String> measures, Map<String, Type> given) {
        List<String> functions = new ArrayList<>(List.of("count(*)", "count(%s)"));
        if (type.compares()) {
            functions.add("count(distinct %s)");
        }
        if (type.adds()) {
            functions.addAll(List.of("sum(%s)", "avg(%s)", "sum(%s)"));
        }
        if (type.ordered()) {
            functions.addAll(List.of("min(%s)", "max(%s)"));
        }
        if (type == Type.BOOLEAN) {
            functions.addAll(List.of("bool_or(%s)", "bool_and(%s)", "bool_and(%s)"));
        }
        String function = Type.any(functions, random);
        measures.put(name, function.formatted(Table.quoted(column)));
        given.put(
                name,
                function.startsWith("count")
                        ? Type.BIGINT
                        : function.startsWith("sum") ? type.sum() : function.startsWith("avg") ? type.average() : type);
    }

    private static List<String> names(List<Output> outputs) {
        return outputs.stream().map(Output::name).toList();
    }

    private static String columns(String alias, List<Output> outputs) {
        return outputs.stream().map(o -> alias + "." + Table.quoted(o.name())).collect(Collectors.joining(", "));
    }

    private static String qualified(String schema, String name) {
        return Table.quoted(schema) + "." + Table.quoted(name);
    }

    private static String array(List<String> names) {
        return "ARRAY[" + names.stream().map(RandomViews::literal).collect(Collectors.joining(", ")) + "]::text[]";
    }

    private static String literal(String text) {
        return "'" + text.replace("'", "''") + "'";
    }
}
