package dev.countersink.tally.random;

import dev.countersink.tally.random.Table.Column;
import dev.countersink.tally.random.Table.Link;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;

/** Two to five tables with links between them, in one schema or in two that share a table name. */
final class RandomSchema {
    private static final List<String> NAMES =
            List.of("item", "order", "Big Item", "group", "détail", "leaf", "a\"b", "select");
    private static final List<String> VALUE_NAMES =
            List.of("v", "w", "Some Value", "user", "d", "n", "größe", "x", "key", "c");

    /** A function that runs a statement. */
    static final String RUN = "random_app.run";

    /** A function that definitions call, with the number by which it multiplies. */
    static final String TWIST =
            "CREATE OR REPLACE FUNCTION random_app.twist(i int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * %d'";

    private final Random random;
    private final List<String> triggers = new ArrayList<>();
    private final List<String> schemas = new ArrayList<>(List.of("random_app"));
    private final List<Table> tables = new ArrayList<>();

    RandomSchema(Random random) {
        this.random = random;
        if (random.nextInt(3) == 0) {
            schemas.add("Random Other");
        }
        List<String> names = new ArrayList<>(NAMES);
        Collections.shuffle(names, random);
        int count = random.nextInt(2, 6);
        for (int i = 0; i < count; i++) {
            String schema = schemas.get(i % schemas.size());
            tables.add(table(schema, names.get(i / schemas.size())));
        }
        RandomStatements statements = new RandomStatements(this, random);
        for (Table table : tables) {
            if (random.nextInt(4) == 0) {
                trigger(table, statements);
            }
        }
    }

    List<Table> tables() {
        return tables;
    }

    List<String> schemas() {
        return schemas;
    }

    /** Whether no trigger of the application has table names in its text, which a rename would not update. */
    boolean renames() {
        return triggers.isEmpty();
    }

    /** Statements that make it. */
    List<String> ddl() {
        return Stream.of(
                        schemas.stream().map(s -> "CREATE SCHEMA " + Table.quoted(s)),
                        Type.DDL.stream(),
                        tables.stream().flatMap(t -> t.ddl().stream()),
                        Stream.of(
                                TWIST.formatted(1),
                                "CREATE FUNCTION " + RUN
                                        + "(sql text) RETURNS void LANGUAGE plpgsql SET DateStyle = 'SQL, DMY' SET IntervalStyle = 'sql_standard' AS $f$ BEGIN EXECUTE sql; END $f$"),
                        triggers.stream())
                .flatMap(s -> s)
                .toList();
    }

    /** A trigger of the application, which writes somewhere or changes the written row. */
    private void trigger(Table table, RandomStatements statements) {
        String name = Table.quoted(random.nextBoolean() ? "a trigger" : "zz trigger");
        String function = "random_app." + Table.quoted("trigger " + triggers.size());
        String body;
        String when;
        if (table.partitions() == 0 && random.nextInt(3) == 0) {
            Column changed = Type.any(table.values(), random);
            body = "NEW.%s := %s; RETURN NEW;".formatted(Table.quoted(changed.name()), statements.value(changed));
            when = "BEFORE INSERT OR UPDATE ON %s FOR EACH ROW WHEN (hashtext(NEW.%s::text) %% 3 = 0)"
                    .formatted(table.sql(), Table.quoted(table.key().get(0).name()));
        } else {
            body =
                    "IF pg_trigger_depth() < 2 THEN BEGIN %s; EXCEPTION WHEN integrity_constraint_violation THEN NULL; END; END IF; RETURN NULL;"
                            .formatted(statements.simple());
            boolean row = table.partitions() == 0 && random.nextInt(3) == 0;
            String event = Type.any(List.of("INSERT", "UPDATE", "DELETE", "INSERT OR DELETE"), random);
            when = "AFTER %s ON %s FOR EACH %s".formatted(event, table.sql(), row ? "ROW" : "STATEMENT");
        }
        triggers.add("CREATE FUNCTION %s() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN %s END $f$"
                .formatted(function, body));
        triggers.add("CREATE TRIGGER %s %s EXECUTE FUNCTION %s()".formatted(name, when, function));
    }

    private Table table(String schema, String name) {
        List<String> names = new ArrayList<>(VALUE_NAMES);
        Collections.shuffle(names, random);
        List<Column> values = new ArrayList<>();
        for (int i = random.nextInt(2, 5); i > 0; i--) {
            values.add(new Column(names.get(i), Type.any(Type.VALUES, random), random.nextInt(5) > 0));
        }
        int partitions = random.nextInt(5) == 0 ? random.nextInt(1, 4) : 0;
        Table table = new Table(schema, name, key(), values, partitions, random.nextInt(8, 41));
        int links = tables.isEmpty() ? 0 : random.nextInt(1, 3);
        for (int i = 0; i < links; i++) {
            link(table, Type.any(tables, random));
        }
        if (random.nextInt(4) == 0) {
            link(table, table);
        }
        return table;
    }

    private List<Column> key() {
        if (random.nextInt(3) == 0) {
            Column odd = new Column("odd", Type.any(Type.KEYS, random), false);
            return random.nextInt(3) == 0 ? List.of(new Column("id", Type.INT, false), odd) : List.of(odd);
        }
        return switch (random.nextInt(7)) {
            case 0 -> List.of(new Column("id", Type.UUID, false));
            case 1 -> List.of(new Column("Code", Type.TEXT, false));
            case 2 -> List.of(new Column("day", Type.DATE, false));
            case 3 -> List.of(new Column("id", Type.INT, false), new Column("Part", Type.TEXT, false));
            case 4 -> List.of(new Column("day", Type.DATE, false), new Column("id", Type.BIGINT, false));
            default -> List.of(new Column("id", Type.BIGINT, false));
        };
    }

    private void link(Table table, Table parent) {
        boolean nullable = table == parent || random.nextInt(3) > 0;
        List<Column> columns = new ArrayList<>();
        for (Column target : parent.key()) {
            String name = "%s of %d".formatted(target.name(), table.links().size() + 1);
            columns.add(new Column(name, target.type(), nullable));
        }
        String deleted = random.nextInt(3) == 0
                ? ""
                : nullable && random.nextBoolean() ? " ON DELETE SET NULL" : " ON DELETE CASCADE";
        String updated = random.nextInt(6) == 0 ? "" : " ON UPDATE CASCADE";
        String checked = random.nextInt(3) == 0 ? " DEFERRABLE INITIALLY DEFERRED" : "";
        table.add(new Link(columns, parent, nullable, deleted + updated + checked));
    }
}
