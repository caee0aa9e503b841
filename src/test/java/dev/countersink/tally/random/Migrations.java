package dev.countersink.tally.random;

import dev.countersink.tally.random.RandomViews.Family;
import dev.countersink.tally.random.Table.Column;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;

/** Changes the schema while others write, merge and read; and tests what is refused at declaration. */
final class Migrations {
    /** The suffix of a renamed object. */
    private static final String RENAMED = " renamed";

    private static final String HEAL = """
            SELECT tally.heal(format('%%I.%%I', v.schema_name, v.relation_name)) FROM tally.derived_view v
            WHERE v.kind = 'projection' AND v.state <> 'defined' AND EXISTS (
                SELECT FROM tally.source s WHERE s.projection_id = v.id AND s.relation = $v$%s$v$::regclass)""";

    /** A table, and those of its partitions that are detached, whose columns get no new names with those of the table. */
    private static final String DETACHED_TOO = """
            SELECT concat_ws(E'\\n', $v$%1$s$v$, string_agg(format('%%I.%%I', n.nspname, c.relname), E'\\n'))
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE NOT c.relispartition AND c.relkind = 'r' AND starts_with(format('"%%s"."%%s"', n.nspname, replace(c.relname, '"', '""')), rtrim($v$%2$s$v$, '0"'))""";

    private final RandomSchema schema;
    private final List<Family> families;
    private final boolean allActive;
    private final Statement statement;
    private final Random random;
    private String kind = "";
    private String sql = "";
    private boolean changesMeaning;
    private Runnable afterwards = () -> {};
    private UnaryOperator<String> rename = text -> text;
    private String back = "";
    private boolean restored;

    /** @param families those that are active
     * @param allActive whether these are all; a column that is renamed between watch and activate is refused */
    Migrations(RandomSchema schema, List<Family> families, boolean allActive, Statement statement, Random random) {
        this.schema = schema;
        this.families = families;
        this.allActive = allActive;
        this.statement = statement;
        this.random = random;
    }

    /** Makes a change, in the caller's transaction; false if there is nothing to change. */
    boolean run() throws SQLException {
        return switch (random.nextInt(7)) {
            case 6 -> writeUnseen();
            case 0 -> movePartition();
            case 1 -> renameColumn();
            case 2 -> renameTable();
            case 3 -> replaceView();
            case 4 -> alterType(false);
            default -> replaceFunction();
        };
    }

    /** As run, but a change that locks no table, so that a writer can be at work meanwhile. */
    boolean runBesideAWriter() throws SQLException {
        return switch (random.nextInt(7)) {
            case 0 -> replaceView();
            case 1 -> replaceFunction();
            case 2 -> alterType(true);
            case 3 -> renameSchema();
            case 4 ->
                renameRelation("VIEW", Type.any(families, random).projection().oracle());
            case 5 ->
                renameRelation("TABLE", Type.any(families, random).projection().name());
            default -> {
                Family family = Type.any(families, random);
                yield family.rollups().isEmpty()
                        ? replaceFunction()
                        : renameRelation(
                                "TABLE", Type.any(family.rollups(), random).name());
            }
        };
    }

    /** A statement with the names that are valid now; they are until {@link #back}. */
    String renamed(String sql) {
        return rename.apply(sql);
    }

    /** Restores the names of views and schemas, if it is not done yet; false if there is nothing to restore. */
    boolean back() throws SQLException {
        if (!back.isEmpty() && !restored) {
            statement.execute(back);
            statement.getConnection().commit();
            restored = true;
        }
        return restored;
    }

    String kind() {
        return kind;
    }

    String sql() {
        return sql;
    }

    /** Whether definitions have changed their meaning. */
    boolean changesMeaning() {
        return changesMeaning;
    }

    /** From now on writers use the new names. */
    void committed() {
        afterwards.run();
    }

    /** Detaches a partition, attaches it again or makes it again, and heals views that cannot have seen its rows change. */
    private boolean movePartition() throws SQLException {
        List<Table> parted =
                schema.tables().stream().filter(t -> t.partitions() > 0).toList();
        if (parted.isEmpty()) {
            return false;
        }
        Table table = Type.any(parted, random);
        int i = random.nextInt(table.partitions());
        boolean attached = !"0"
                .equals(RandomCase.text(
                        statement,
                        "SELECT count(*) FROM pg_inherits WHERE inhrelid = $v$%s$v$::regclass"
                                .formatted(table.partition(i))));
        if (attached) {
            execute("DETACH", "ALTER TABLE %s DETACH PARTITION %s".formatted(table.sql(), table.partition(i)));
        } else if (random.nextBoolean()) {
            execute(
                    "ATTACH",
                    "ALTER TABLE %s ATTACH PARTITION %s FOR VALUES WITH (MODULUS %d, REMAINDER %d)"
                            .formatted(table.sql(), table.partition(i), table.partitions(), i));
        } else {
            execute("another partition", "DROP TABLE %s; %s".formatted(table.partition(i), table.partitionDdl(i)));
        }
        statement.execute(HEAL.formatted(table.sql()));
        return true;
    }

    /** Writes while the triggers of a table are disabled, as a restore does. */
    private boolean writeUnseen() throws SQLException {
        String tables = Type.any(schema.tables(), random).sql();
        execute(
                "disabled triggers",
                "ALTER TABLE %1$s DISABLE TRIGGER USER; %2$s; SET CONSTRAINTS ALL IMMEDIATE; ALTER TABLE %1$s ENABLE TRIGGER USER"
                        .formatted(tables, new RandomStatements(schema, random).simple()));
        changesMeaning = true; // live views are right again after the next merge
        return true;
    }

    private boolean renameColumn() throws SQLException {
        if (!schema.renames() || !allActive) {
            return false;
        }
        Table table = Type.any(schema.tables(), random);
        Column column = Type.any(table.columns(), random);
        String to = other(column.name());
        StringBuilder all = new StringBuilder();
        for (String relation : RandomCase.text(statement, DETACHED_TOO.formatted(table.sql(), table.partition(0)))
                .split("\n")) {
            all.append("ALTER TABLE %s RENAME COLUMN %s TO %s; "
                    .formatted(relation, Table.quoted(column.name()), Table.quoted(to)));
        }
        execute("renamed column", all.toString());
        changesMeaning = true; // of to_jsonb(row)
        afterwards = () -> column.rename(to);
        return true;
    }

    private boolean renameTable() throws SQLException {
        if (!schema.renames()) {
            return false;
        }
        Table table = Type.any(schema.tables(), random);
        String to = other(table.name());
        execute("renamed table", "ALTER TABLE %s RENAME TO %s".formatted(table.sql(), Table.quoted(to)));
        afterwards = () -> table.rename(to);
        return true;
    }

    private boolean replaceView() throws SQLException {
        List<Family> replaced =
                families.stream().filter(f -> !f.replacements().isEmpty()).toList();
        if (replaced.isEmpty()) {
            return false;
        }
        List<String> replacements = Type.any(replaced, random).replacements();
        execute("replaced view", onceOrTwice(() -> Type.any(replacements, random)));
        changesMeaning = true;
        return true;
    }

    /** A migration may replace something, and then again in the same transaction. */
    private String onceOrTwice(Supplier<String> sql) {
        return random.nextBoolean() ? sql.get() : sql.get() + "; " + sql.get();
    }

    /** Changes a user-defined type. A new check of a domain locks the tables that use it. */
    private boolean alterType(boolean locksNoTable) throws SQLException {
        List<String> changes = List.of(
                "ALTER TYPE random_app.mood ADD VALUE IF NOT EXISTS 'mood %d' BEFORE 'happy'"
                        .formatted(random.nextInt(4)),
                "ALTER TYPE random_app.mood RENAME VALUE 'ok' TO 'fine'; ALTER TYPE random_app.mood RENAME VALUE 'fine' TO 'ok'",
                "ALTER TYPE random_app.pair RENAME ATTRIBUTE %s TO %s"
                        .formatted(attribute(), Table.quoted("b" + random.nextInt(9))),
                "ALTER TYPE random_app.pair ADD ATTRIBUTE more int; ALTER TYPE random_app.pair DROP ATTRIBUTE more",
                "ALTER TYPE random_app.pair RENAME TO pair_renamed; ALTER TYPE random_app.pair_renamed RENAME TO pair",
                "ALTER DOMAIN random_app.small ADD CHECK (VALUE <> 1000)");
        execute("altered type", Type.any(locksNoTable ? changes.subList(0, changes.size() - 1) : changes, random));
        changesMeaning = true;
        return true;
    }

    /** The name that the second attribute of the composite type has now. */
    private String attribute() throws SQLException {
        return RandomCase.text(
                statement,
                "SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = 'random_app.pair'::regclass AND attnum = 2");
    }

    private boolean renameSchema() throws SQLException {
        if (!schema.renames()) {
            return false;
        }
        String name = Type.any(schema.schemas(), random);
        String to = name + RENAMED;
        execute("renamed schema", "ALTER SCHEMA %s RENAME TO %s".formatted(Table.quoted(name), Table.quoted(to)));
        back = "ALTER SCHEMA %s RENAME TO %s".formatted(Table.quoted(to), Table.quoted(name));
        rename = text -> text.replace(Table.quoted(name) + ".", Table.quoted(to) + ".")
                .replace(" " + name + ".", " " + Table.quoted(to) + ".")
                .replace(":" + name + ".", ":" + Table.quoted(to) + ".");
        return true;
    }

    /** Renames the definition of a projection or a derived table. */
    private boolean renameRelation(String kind, String relation) throws SQLException {
        if ("0".equals(RandomCase.text(statement, "SELECT count(to_regclass($v$%s$v$))".formatted(relation)))) {
            return false; // a rollup that has yet to be declared
        }
        String[] parts = relation.split("(?<=\")\\.(?=\")", 2);
        String to = Table.quoted(parts[1].substring(1, parts[1].length() - 1) + RENAMED);
        execute("renamed " + kind.toLowerCase(Locale.ROOT), "ALTER %s %s RENAME TO %s".formatted(kind, relation, to));
        back = "ALTER %s %s.%s RENAME TO %s".formatted(kind, parts[0], to, parts[1]);
        rename = text -> text.replace(relation, parts[0] + "." + to);
        return true;
    }

    private boolean replaceFunction() throws SQLException {
        execute("replaced function", onceOrTwice(() -> RandomSchema.TWIST.formatted(random.nextInt(4))));
        changesMeaning = true;
        return true;
    }

    private void execute(String kind, String sql) throws SQLException {
        this.kind = kind;
        this.sql = sql;
        statement.execute(sql);
    }

    private static String other(String name) {
        return name.endsWith(RENAMED) ? name.substring(0, name.length() - RENAMED.length()) : name + RENAMED;
    }

    /** Restores all names. */
    static void undo(RandomSchema schema, Statement statement) throws SQLException {
        for (Table table : schema.tables()) {
            if (table.name().endsWith(RENAMED)) {
                String first = other(table.name());
                statement.execute("ALTER TABLE %s RENAME TO %s".formatted(table.sql(), Table.quoted(first)));
                table.rename(first);
            }
        }
    }

    /** Tables that triggers cannot watch, and columns that cannot be a key, are refused when they are declared. */
    static void refusals(Connection connection, RandomSchema schema, Random random) throws SQLException {
        connection.setAutoCommit(false);
        try (Statement statement = connection.createStatement()) {
            Table table = Type.any(schema.tables(), random);
            List<String> key = table.key().stream().map(Column::name).toList();
            refused(
                    statement,
                    "TL016",
                    "CREATE UNLOGGED TABLE random_app.odd (LIKE %s INCLUDING INDEXES)".formatted(table.sql()),
                    "random_app.odd",
                    key);
            String columns = table.key().stream()
                    .map(c -> Table.quoted(c.name()) + " " + c.type().sql())
                    .collect(Collectors.joining(", "));
            refused(
                    statement,
                    "TL016",
                    "CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER nowhere FOREIGN DATA WRAPPER nowhere; CREATE FOREIGN TABLE random_app.odd (%s) SERVER nowhere"
                            .formatted(columns),
                    "random_app.odd",
                    key);
            if (table.partitions() > 0) {
                refused(statement, "TL016", "", table.partition(0), key);
            }
            hidden(statement, table, key);
            for (Column column : table.values()) {
                if (!column.type().keys()) {
                    refused(statement, "TL024", "", table.sql(), List.of(column.name()));
                }
            }
            connection.rollback();
        }
        connection.setAutoCommit(true);
    }

    /** A table with a policy that applies to the role that keeps a view of it. */
    private static void hidden(Statement statement, Table table, List<String> key) throws SQLException {
        statement.execute("SAVEPOINT hidden");
        statement.execute("CREATE ROLE random_owner");
        statement.execute("GRANT countersink_owner TO random_owner; GRANT ALL ON SCHEMA random_app TO random_owner");
        refused(
                statement,
                "TL008",
                "CREATE TABLE random_app.odd (LIKE %s INCLUDING INDEXES); ALTER TABLE random_app.odd OWNER TO random_owner; ALTER TABLE random_app.odd ENABLE ROW LEVEL SECURITY; ALTER TABLE random_app.odd FORCE ROW LEVEL SECURITY; CREATE POLICY half ON random_app.odd USING (random() < 0.5); SET LOCAL ROLE random_owner"
                        .formatted(table.sql()),
                "random_app.odd",
                key);
        statement.execute("ROLLBACK TO SAVEPOINT hidden");
    }

    /** Asserts that a view of a relation is refused with this SQLSTATE. */
    private static void refused(Statement statement, String code, String ddl, String relation, List<String> key)
            throws SQLException {
        statement.execute("SAVEPOINT refused");
        statement.execute(ddl);
        statement.execute("CREATE VIEW random_app.odd_def AS SELECT * FROM " + relation);
        String names = key.stream().map(Table::quoted).collect(Collectors.joining(","));
        try {
            statement.execute(
                    "SELECT tally.keep('random_app.odd_kept', 'random_app.odd_def', $v${%s}$v$, allow_every_key => true)"
                            .formatted(names));
            throw new AssertionError("%s by %s is not refused".formatted(relation, names));
        } catch (SQLException e) {
            if (!code.equals(e.getSQLState())) {
                throw e;
            }
        }
        statement.execute("ROLLBACK TO SAVEPOINT refused");
    }
}
