package dev.countersink.tally.random;

import dev.countersink.config.DbSettings;
import dev.countersink.db.Database;
import dev.countersink.tally.random.RandomViews.Family;
import dev.countersink.tally.random.RandomViews.View;
import dev.countersink.testing.Differences;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.ReentrantLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;

/**
 * One random case: a schema and derived views over it. Writers and mergers work, and in every snapshot each live view must equal
 * its oracle. At the end the stored tables must too, and dropping the views must leave nothing. The seed determines what is made
 * and written, but not how the writers interleave.
 */
final class RandomCase {
    private static final int WRITERS = 4;
    private static final int MERGERS = 2;

    private static final String ACTIVATED =
            "SELECT count(*) FROM tally.status WHERE name = $v$%s$v$ AND state <> 'defined'";

    private static final List<List<String>> SETTINGS = List.of(
            List.of("TimeZone = 'Asia/Kathmandu'", "TimeZone = 'America/St_Johns'"),
            List.of(
                    "IntervalStyle = 'iso_8601'",
                    "IntervalStyle = 'sql_standard'",
                    "IntervalStyle = 'postgres_verbose'"),
            List.of("extra_float_digits = -3", "extra_float_digits = 0", "extra_float_digits = 3"),
            List.of("bytea_output = 'escape'"),
            List.of("search_path = ''", "search_path = 'random_app'", "search_path = 'pg_temp, pg_catalog'"),
            List.of("row_security = off"),
            List.of("lc_numeric = 'C'; SET lc_monetary = 'C'; SET lc_time = 'C'"),
            List.of("quote_all_identifiers = on"),
            List.of("transform_null_equals = on"),
            List.of("plan_cache_mode = force_generic_plan", "plan_cache_mode = force_custom_plan"),
            List.of("enable_hashagg = off", "enable_sort = off", "enable_hashjoin = off", "enable_nestloop = off"),
            List.of("enable_seqscan = off", "enable_indexscan = off", "enable_partitionwise_aggregate = on"),
            List.of("work_mem = '64kB'"),
            List.of("plpgsql.variable_conflict = use_column", "plpgsql.variable_conflict = use_variable"));

    private final DbSettings db;
    private final long seed;
    private final int transactions;
    private final boolean sabotaged;
    private final Figures figures;
    private final RandomSchema schema;
    private final RandomViews views;
    private final List<String> script = Collections.synchronizedList(new ArrayList<>());
    private final List<Family> active = new CopyOnWriteArrayList<>();
    private final List<View> compared = new CopyOnWriteArrayList<>();
    private final AtomicInteger writing = new AtomicInteger(WRITERS);
    private final AtomicInteger migrations = new AtomicInteger();
    private final AtomicBoolean failed = new AtomicBoolean();
    private final AtomicReference<Throwable> first = new AtomicReference<>();
    private final Map<String, String> relations = new ConcurrentHashMap<>();
    private final Semaphore toMerge = new Semaphore(0);
    private final CountDownLatch activated = new CountDownLatch(1);

    /** Held exclusively by a thread that needs all writers to stop. */
    private final ReentrantReadWriteLock writers = new ReentrantReadWriteLock(true);

    /** TRUNCATE is not MVCC-safe, so none may run within a snapshot that is compared. */
    private final ReentrantLock snapshot = new ReentrantLock(true);

    /**
     * @param transactions of each writer
     * @param sabotaged whether to disable the triggers, which must be detected
     */
    RandomCase(DbSettings db, long seed, int transactions, boolean sabotaged, Figures figures) {
        this.db = db;
        this.seed = seed;
        this.transactions = transactions;
        this.sabotaged = sabotaged;
        this.figures = figures;
        Random random = new Random(seed);
        this.schema = new RandomSchema(random);
        this.views = new RandomViews(schema, random);
    }

    /** A failure reports the seed, everything that was made, and the rows that differ. */
    void run() {
        try (Connection connection = connect();
                Statement statement = connection.createStatement()) {
            prepare(connection);
            Migrations.refusals(connection, schema, new Random(seed - 4));
            String before = text(statement, CATALOG.formatted(inSchemas()));
            declare(statement);
            runAll(connection);
            Migrations.undo(schema, statement);
            settle(connection);
            List<Family> families = new ArrayList<>(views.families());
            Collections.reverse(families); // a chain is taken down from its top
            for (Family family : families) {
                statement.execute("SELECT tally.drop($v$%s$v$)"
                        .formatted(family.projection().name()));
                if (family.lower() != null) {
                    statement.execute(
                            "DROP VIEW %s CASCADE".formatted(family.projection().oracle()));
                }
            }
            String after = text(statement, CATALOG.formatted(inSchemas()));
            if (!after.equals(before)) {
                throw new AssertionError("dropping leaves something behind:\n%s\nbefore:\n%s".formatted(after, before));
            }
            figures.cases.incrementAndGet();
            for (String name : schema.schemas()) {
                statement.execute("DROP SCHEMA %s CASCADE".formatted(Table.quoted(name)));
            }
        } catch (Exception | AssertionError e) {
            Throwable cause = first.get() != null ? first.get() : e;
            throw new AssertionError(
                    "countersink.seed=%d\n%s\n\n%s".formatted(seed, messages(cause), String.join(";\n", script) + ";"),
                    cause);
        }
    }

    /** For a failed statement: the statement, and the server's message. */
    private static String messages(Throwable cause) {
        return cause.getMessage()
                + (cause.getCause() == null ? "" : "\n" + cause.getCause().getMessage());
    }

    private void prepare(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            execute(statement, "CREATE EXTENSION IF NOT EXISTS citext SCHEMA public");
            for (String sql : schema.ddl()) {
                execute(statement, sql);
            }
            for (Family family : views.families()) {
                if (family.lower() == null) {
                    define(statement, family);
                }
            }
        }
        connection.setAutoCommit(false);
        RandomWriter writer = new RandomWriter(connection, schema, new Random(seed - 1), new Figures());
        for (int i = 0; i < 20; i++) {
            writer.transaction(false);
        }
        connection.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
        connection.setAutoCommit(true);
    }

    private void declare(Statement statement) throws SQLException {
        for (Family family : views.families()) {
            if (family.lower() != null) {
                define(statement, family);
            }
            for (String sql : family.declarations()) {
                execute(statement, sql);
            }
        }
    }

    private void define(Statement statement, Family family) throws SQLException {
        for (String sql : family.definitions()) {
            execute(statement, sql);
        }
    }

    private void execute(Statement statement, String sql) throws SQLException {
        script.add(sql);
        statement.execute(sql);
    }

    // concurrent work

    private void runAll(Connection connection) throws Exception {
        Random random = new Random(seed - 2);
        boolean early = random.nextInt(3) > 0;
        if (early) {
            activate(connection);
        }
        ExecutorService threads = Executors.newCachedThreadPool();
        try {
            List<Future<Void>> all = new ArrayList<>();
            for (int i = 0; i < WRITERS; i++) {
                Random own = new Random(seed * 31 + i);
                all.add(threads.submit(role(own, c -> write(c, own))));
            }
            for (int i = 0; i < MERGERS; i++) {
                Random own = new Random(seed * 31 - 3 - i);
                all.add(threads.submit(role(own, c -> merge(c, own))));
            }
            Random own = new Random(seed * 31 - 9);
            all.add(threads.submit(role(own, c -> check(c, own))));
            if (!early) {
                activate(connection); // while they write
            }
            addLater(connection);
            for (Future<Void> one : all) {
                one.get();
            }
        } finally {
            failed.set(true); // an end for all, whatever the reason
            threads.shutdown();
            threads.awaitTermination(1, TimeUnit.MINUTES);
        }
    }

    private interface Role {
        void play(Connection connection) throws SQLException, InterruptedException;
    }

    private Callable<Void> role(Random random, Role role) {
        return () -> {
            try (Connection connection = connect()) {
                set(connection, new Random(random.nextLong()));
                connection.setAutoCommit(false);
                role.play(connection);
                return null;
            } catch (Exception | AssertionError e) {
                failed.set(true);
                first.compareAndSet(null, e);
                throw e;
            }
        };
    }

    private void activate(Connection connection) throws SQLException {
        for (Family family : views.families()) {
            patiently(connection, family.activation());
            active.add(family);
            compared.add(family.projection());
            compared.addAll(family.rollups()
                    .subList(0, family.rollups().size() - family.later().size()));
        }
        activated.countDown();
        if (sabotaged) {
            try (Statement statement = connection.createStatement()) {
                for (Table table : schema.tables()) {
                    statement.execute("ALTER TABLE %s DISABLE TRIGGER USER".formatted(table.sql()));
                }
            }
        }
    }

    private void addLater(Connection connection) throws SQLException {
        for (Family family : views.families()) {
            int first = family.rollups().size() - family.later().size();
            for (int i = 0; i < family.later().size(); i++) {
                patiently(connection, family.later().get(i));
                compared.add(family.rollups().get(first + i));
            }
        }
    }

    /** Repeats it until no writer is in the way. */
    private void patiently(Connection connection, String sql) throws SQLException {
        script.add(sql);
        while (true) {
            try (Statement statement = connection.createStatement()) {
                statement.execute(sql);
                return;
            } catch (SQLException e) {
                if (!isInTheWay(e)) {
                    throw e;
                }
            }
        }
    }

    private void write(Connection connection, Random random) throws SQLException, InterruptedException {
        try {
            RandomWriter writer = new RandomWriter(connection, schema, random, figures);
            for (int i = 0; i < transactions && !failed.get(); i++) {
                while (i == transactions / 2 && !failed.get() && !activated.await(10, TimeUnit.MILLISECONDS)) {
                    continue; // a late activation must have something to do
                }
                int dice = random.nextInt(100);
                if (dice < 3) {
                    readOwn(connection, writer);
                    continue;
                }
                if (dice == 3 || dice == 9 || dice == 10) {
                    migration(connection, random);
                    continue;
                }
                writers.readLock().lock();
                try {
                    if (dice < 9 && !active.isEmpty()) {
                        control(connection, writer, Type.any(active, random), dice, random);
                    } else {
                        count(writer, writer.willTruncate());
                    }
                } finally {
                    writers.readLock().unlock();
                }
            }
        } finally {
            writing.decrementAndGet();
        }
    }

    private String count(RandomWriter writer, boolean truncates) throws SQLException {
        if (truncates) {
            snapshot.lock();
        }
        try {
            String token = writer.transaction(truncates);
            (token != null ? figures.commits : figures.rollbacks).incrementAndGet();
            toMerge.release();
            if (truncates && token != null) {
                script.add("-- TRUNCATE");
            }
            return token;
        } finally {
            if (truncates) {
                snapshot.unlock();
            }
        }
    }

    /** Writes alone, waits until that is merged, and checks that the stored rows have all of its changes. */
    private void readOwn(Connection connection, RandomWriter writer) throws SQLException {
        writers.writeLock().lock();
        snapshot.lock(); // readers keep a merge from making its functions anew
        try (Statement statement = connection.createStatement()) {
            connection.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
            statement.execute("SET statement_timeout = '180s'");
            // the oracle of a chain moves with every merge of what it reads
            List<View> waited = active.stream()
                    .filter(f -> f.lower() == null)
                    .map(Family::projection)
                    .toList();
            for (int i = 0; i < waited.size(); i++) {
                statement.execute("CREATE TEMP TABLE before_%d AS SELECT %s AS t FROM %s x"
                        .formatted(i, waited.get(i).row(), waited.get(i).oracle()));
            }
            connection.commit();
            String token = count(writer, false);
            connection.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
            for (int i = 0; i < waited.size() && !failed.get(); i++) {
                View view = waited.get(i);
                if (token != null) {
                    toMerge.release(5);
                    statement.execute(
                            "SELECT tally.wait_for($v$%s$v$, '%s', '170 seconds')".formatted(view.name(), token));
                    String wrong = text(statement, OWN.formatted(view.name(), view.oracle(), i, view.row()));
                    if (!wrong.isEmpty()) {
                        figures.differences.incrementAndGet();
                        throw new AssertionError(
                                "%s after waiting for own transaction:\n%s".formatted(view.name(), wrong));
                    }
                    figures.ownReads.incrementAndGet();
                }
                statement.execute("DROP TABLE before_" + i);
                connection.commit();
            }
        } catch (SQLException e) {
            connection.rollback();
            if (!isInTheWay(e)) { // of a swap
                throw e;
            }
            try (Statement statement = connection.createStatement()) {
                statement.execute("DISCARD TEMP");
                connection.commit();
            }
        } finally {
            snapshot.unlock();
            writers.writeLock().unlock();
        }
    }

    /** Runs a migration while no writer or reader works, so that all see it at once, whatever their snapshot. */
    private void migration(Connection connection, Random random) throws SQLException {
        writers.writeLock().lock();
        snapshot.lock();
        migrations.incrementAndGet();
        try (Statement statement = connection.createStatement()) {
            connection.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
            statement.execute("SET LOCAL lock_timeout = '3s'");
            Migrations migration =
                    new Migrations(schema, new ArrayList<>(active), activated.getCount() == 0, statement, random);
            if (!active.isEmpty() && random.nextBoolean()) {
                besideAWriter(connection, migration, random);
                return;
            }
            boolean done = migration.run();
            connection.commit();
            if (done) {
                migration.committed();
                figures.count(migration.kind());
                script.add("-- " + migration.kind() + ": " + migration.sql());
                if (migration.changesMeaning()) {
                    follow(connection);
                }
            }
        } catch (SQLException e) {
            connection.rollback();
            // or of a replacement that was put in place meanwhile
            if (!RandomWriter.isOfChance(e) && !isInTheWay(e) && !"TL001".equals(e.getSQLState())) {
                throw e;
            }
        } finally {
            migrations.incrementAndGet();
            snapshot.unlock();
            writers.writeLock().unlock();
        }
    }

    /** Runs a migration that locks no table, while a transaction is at work that wrote before it and writes after it. */
    private void besideAWriter(Connection connection, Migrations migration, Random random) throws SQLException {
        try (Connection other = connect();
                Statement writer = other.createStatement()) {
            other.setAutoCommit(false);
            RandomStatements statements = new RandomStatements(schema, random);
            tried(writer, statements.simple());
            if (!migration.runBesideAWriter()) {
                connection.rollback();
                return;
            }
            connection.commit();
            figures.count(migration.kind());
            script.add("-- beside a writer, " + migration.kind() + ": " + migration.sql());
            tried(writer, migration.renamed(statements.simple()));
            if (migration.changesMeaning()) {
                follow(connection);
            } else {
                mergeAll(connection, migration);
            }
            tried(writer, migration.renamed(statements.simple()));
            other.commit();
            if (random.nextBoolean()) {
                mergeAll(connection, migration);
            }
        } catch (SQLException e) {
            if (!RandomWriter.isOfChance(e) && !isInTheWay(e)) {
                throw new SQLException("beside a writer: " + migration.sql(), e);
            }
            figures.count("undone beside a writer");
        } finally {
            connection.rollback();
            restore(connection, migration);
        }
    }

    /** Restores names, until no merge is in the way: nobody else would. Before others read again, everything made has its old name too. */
    private void restore(Connection connection, Migrations migration) throws SQLException {
        connection.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
        for (int tries = 0; ; tries++) {
            try {
                patiently(connection, () -> heal(connection, migration));
                return;
            } catch (SQLException e) {
                // a swap may give its own tables these names at this moment
                if (!"TL001".equals(e.getSQLState())) {
                    throw e;
                }
                if (tries == MOST_SWAPS) {
                    throw new AssertionError("the names of before lead nowhere: " + migration.sql(), e);
                }
            }
        }
    }

    private void heal(Connection connection, Migrations migration) throws SQLException {
        if (migration.back()) {
            connection.commit();
            try (Statement statement = connection.createStatement()) {
                for (Family family : active) {
                    statement.execute("SELECT tally.heal($v$%s$v$)"
                            .formatted(family.projection().name()));
                    connection.commit();
                }
            }
        }
    }

    /** Executes a statement that may violate a constraint. */
    private static void tried(Statement statement, String sql) throws SQLException {
        statement.execute("SAVEPOINT tried");
        try {
            statement.execute(sql);
        } catch (SQLException e) {
            if (!RandomWriter.isOfChance(e)) {
                throw new SQLException(sql, e);
            }
            statement.execute("ROLLBACK TO SAVEPOINT tried");
        }
    }

    /** Merges once, under the names of now; a merge may be waiting for the writer. */
    private void mergeAll(Connection connection, Migrations migration) throws SQLException {
        connection.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
        try (Statement statement = connection.createStatement()) {
            for (Family family : active) {
                String sql = "SELECT outcome FROM tally.merge($v$%s$v$)"
                        .formatted(family.projection().name());
                text(statement, migration.renamed(sql));
                connection.commit();
            }
        }
    }

    /** After a change of meaning: views that are out of date must not be reported as healthy; then merges must follow. */
    private void follow(Connection connection) throws SQLException {
        for (Family family : views.families()) {
            connection.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
            View view = family.projection();
            try (Statement statement = connection.createStatement()) {
                // not by what this test knows: it may be just activated
                if ("0".equals(text(statement, ACTIVATED.formatted(plain(view))))) {
                    connection.commit();
                    continue;
                }
                boolean told = !"0"
                        .equals(text(
                                statement,
                                "SELECT count(*) FROM tally.health WHERE NOT ok AND view = $v$%s$v$"
                                        .formatted(plain(view))));
                String old = text(statement, Differences.sql(view.row(), view.live(), view.oracle()));
                if (!told && !old.isEmpty()) {
                    figures.differences.incrementAndGet();
                    throw new AssertionError("%s is old and called healthy:\n%s".formatted(view.live(), old));
                }
                connection.commit();
                connection.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
                String outcome = "busy";
                while (outcome.equals("busy") && !failed.get()) {
                    outcome = text(statement, "SELECT outcome FROM tally.merge($v$%s$v$)".formatted(view.name()));
                    connection.commit();
                }
            }
        }
    }

    /** A name as the catalog shows it: quoted only if necessary. */
    private static String plain(View view) {
        return view.name().replaceAll("\"([a-z_]+)\"", "$1");
    }

    private static boolean isInTheWay(SQLException e) {
        return List.of("TL015", "55P03", "40P01").contains(String.valueOf(e.getSQLState()));
    }

    private void control(Connection connection, RandomWriter writer, Family family, int dice, Random random)
            throws SQLException {
        String name = "$v$%s$v$".formatted(family.projection().name());
        connection.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
        try (Statement statement = connection.createStatement()) {
            if (dice == 4) {
                statement.execute("SELECT tally.rebuild(" + name + ")");
                figures.count("rebuild");
                script.add("-- rebuild of " + name);
            } else if (dice < 7) {
                if (!family.redefinitions().isEmpty()) {
                    String sql = "SELECT tally.redefine(%s, $v$%s$v$)"
                            .formatted(name, Type.any(family.redefinitions(), random));
                    statement.execute(sql);
                    figures.count("redefine");
                    script.add("-- " + sql);
                }
            } else if (dice == 7) {
                if (!"0".equals(text(statement, "SELECT tally.repair(" + name + ")"))) {
                    figures.differences.incrementAndGet();
                    throw new AssertionError("repair of " + name + " found something");
                }
                figures.count("repair");
            } else {
                figures.count("pause");
                statement.execute("SELECT tally.pause(" + name + ")");
                connection.commit();
                count(writer, false);
                connection.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
                // otherwise nobody would resume the view
                patiently(connection, () -> statement.execute("SELECT tally.resume(" + name + ")"));
            }
            connection.commit();
        } catch (SQLException e) {
            connection.rollback();
            if (!RandomWriter.isOfChance(e) && !isInTheWay(e)) {
                throw e;
            }
        }
    }

    /** Statements of a transaction. */
    private interface Work {
        void run() throws SQLException;
    }

    /** Runs and commits it; repeats it if a lock is in the way. */
    private static void patiently(Connection connection, Work work) throws SQLException {
        while (true) {
            try {
                work.run();
                connection.commit();
                return;
            } catch (SQLException e) {
                connection.rollback();
                if (!isInTheWay(e)) {
                    throw e;
                }
            }
        }
    }

    private void merge(Connection connection, Random random) throws SQLException, InterruptedException {
        while (writing.get() > 0 && !failed.get()) {
            toMerge.tryAcquire(5, TimeUnit.MILLISECONDS);
            if (active.isEmpty()) {
                continue;
            }
            String name = Type.any(active, random).projection().name();
            int before = migrations.get();
            int most = random.nextBoolean() ? 50_000 : 1 + random.nextInt(random.nextBoolean() ? 3 : 40);
            try (Statement statement = connection.createStatement();
                    ResultSet row =
                            statement.executeQuery("SELECT * FROM tally.merge($v$%s$v$, %d)".formatted(name, most))) {
                row.next();
                String outcome = row.getString("outcome");
                boolean migrated = before % 2 == 1 || before != migrations.get();
                // for what a migration holds, or with a new definition for writers; then a second or two
                boolean waits = outcome.equals("failed")
                                && (migrated || row.getString("error").contains("could not be locked within"))
                        || before > 0 && outcome.equals("waiting");
                if (outcome.equals("failed")) {
                    script.add("-- merge of %s failed: %s".formatted(name, row.getString("error")));
                    figures.count("failed by a migration");
                }
                if (!waits && !List.of("merged", "nothing", "busy", "paused").contains(outcome)
                        || row.getLong("quarantined") > 0) {
                    throw new AssertionError("merge of %s: %s, %s".formatted(name, outcome, row.getString("error")));
                }
                long keys = row.getLong("keys");
                if (row.getBoolean("more")) {
                    toMerge.release();
                }
                if (random.nextInt(20) == 0) {
                    connection.rollback();
                } else {
                    connection.commit();
                    if (outcome.equals("merged")) {
                        figures.merges.incrementAndGet();
                        figures.keys.addAndGet(keys);
                    }
                    noteSwap(statement, name);
                    connection.commit();
                }
            } catch (SQLException e) {
                connection.rollback();
                // with a writer that truncates, or with a migration
                if (!isInTheWay(e) && before % 2 == 0 && before == migrations.get()) {
                    throw e;
                }
            }
        }
    }

    private void noteSwap(Statement statement, String name) throws SQLException {
        String now = text(statement, "SELECT to_regclass($v$%s$v$)::oid".formatted(name));
        if (now == null) { // it has another name at the moment
            return;
        }
        String before = relations.put(name, now);
        if (before != null && !before.equals(now)) {
            figures.swaps.incrementAndGet();
            script.add("-- new definition of " + name + " in place");
        }
    }

    private void check(Connection connection, Random random) throws SQLException, InterruptedException {
        Oracle oracle = new Oracle(connection, figures);
        boolean taken = false; // one at least, however fast the writers were
        while ((writing.get() > 0 || !taken) && !failed.get()) {
            if (!activated.await(10, TimeUnit.MILLISECONDS)) {
                continue;
            }
            snapshot.lock();
            try {
                oracle.live(compared, random.nextInt(4) == 0 ? active : List.of());
                taken = true;
            } catch (SQLException e) {
                connection.rollback();
                if (!isInTheWay(e) && !"40001".equals(e.getSQLState())) { // of a swap, or older than it
                    throw e;
                }
                figures.count("reader undone by a swap");
            } finally {
                snapshot.unlock();
            }
        }
    }

    // the final checks, when nothing else runs

    private void settle(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            for (Family family : views.families()) {
                String name = "$v$%s$v$".formatted(family.projection().name());
                statement.execute("SELECT tally.resume(" + name + ")");
                statement.execute("SELECT tally.refresh(" + name + ")");
            }
            for (String left : List.of(
                    "SELECT count(*) FROM tally.quarantine",
                    "SELECT coalesce(sum(pending), 0) FROM tally.status WHERE name NOT LIKE 'results.%'",
                    "SELECT coalesce(string_agg(concat_ws(' ', view, relation, problem), '; '), '0') FROM tally.health WHERE NOT ok")) {
                if (!"0".equals(text(statement, left))) {
                    figures.differences.incrementAndGet();
                    throw new AssertionError(left + ": " + text(statement, left));
                }
            }
        }
        connection.setAutoCommit(false);
        Oracle oracle = new Oracle(connection, figures);
        oracle.stored(compared);
        for (Family family : views.families()) {
            oracle.verify(family);
        }
        connection.commit();
        connection.setAutoCommit(true);
    }

    private Connection connect() throws SQLException {
        Connection connection = Database.connect(db);
        try (Statement statement = connection.createStatement()) {
            statement.execute(
                    "SET statement_timeout = '60s'; SET deadlock_timeout = '30ms'; SET jit = off; SET client_min_messages = warning");
        }
        return connection;
    }

    /** Sets unusual session settings, none of which may affect what is stored. */
    private void set(Connection connection, Random random) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            for (List<String> choices : SETTINGS) {
                if (random.nextInt(3) == 0) {
                    statement.execute("SET " + Type.any(choices, random));
                }
            }
        }
    }

    static String text(Statement statement, String sql) throws SQLException {
        try (ResultSet row = statement.executeQuery(sql)) {
            row.next();
            return row.getString(1);
        }
    }

    private String inSchemas() {
        return "'" + String.join("', '", schema.schemas()) + "'";
    }

    private static final int MOST_SWAPS = 20;

    private static final String OWN = """
            WITH stored AS (SELECT %4$s AS t FROM %1$s x), oracle AS (SELECT %4$s AS t FROM %2$s x), before AS (TABLE before_%3$d)
            SELECT coalesce(string_agg(what, E'\\n'), '') FROM (
                SELECT 'not seen  ' || t::text FROM (TABLE oracle EXCEPT TABLE before EXCEPT TABLE stored) a
                UNION ALL SELECT 'still seen ' || t::text FROM ((TABLE before EXCEPT TABLE oracle) INTERSECT TABLE stored) b) d(what)""";

    private static final String CATALOG = """
            SELECT coalesce(string_agg(what, E'\\n' ORDER BY what), '') FROM (
                SELECT format('relation %%s %%s', c.relkind, c.oid::regclass) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname IN (%1$s)
                UNION ALL SELECT format('function %%s', p.oid::regprocedure) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname IN (%1$s)
                UNION ALL SELECT format('type %%s', t.oid::regtype) FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname IN (%1$s)
                UNION ALL SELECT format('trigger %%s on %%s', t.tgname, t.tgrelid::regclass) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE n.nspname IN (%1$s) AND NOT t.tgisinternal
                UNION ALL SELECT format('view %%s', v.relation_name) FROM tally.derived_view v WHERE v.schema_name IN (%1$s)
                UNION ALL SELECT format('%%s sources, %%s measures, %%s states', (SELECT count(*) FROM tally.source), (SELECT count(*) FROM tally.measure), (SELECT count(*) FROM tally.merge_state))
                ) x(what)""";
}
