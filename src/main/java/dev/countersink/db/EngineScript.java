package dev.countersink.db;

import dev.countersink.digest.Sha256;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The whole engine as one file of plain SQL, for those who want neither the program nor psql's {@code \ir}: any client can run it. It is
 * put together from {@code sql/tally/scripts}, which stay the one list of files.
 */
public final class EngineScript {
    private static final String FOLDER = "sql/tally/scripts/";
    private static final String INCLUDE = "\\ir ";
    /** A statement for psql alone, which executes its results. What follows it in the scripts does the same in one transaction. */
    private static final String EACH = " \\gexec";

    private final boolean upgrade;
    private final StringBuilder text = new StringBuilder();
    private boolean skipped;

    private EngineScript(boolean upgrade) {
        this.upgrade = upgrade;
    }

    /** The SQL that installs the engine in a database, as one transaction. */
    public static String install() {
        return new EngineScript(false).with(FOLDER + "install.sql");
    }

    /** The SQL that brings an installed engine to this version as one transaction, and then all that it has generated. */
    public static String upgrade() {
        return new EngineScript(true).with(FOLDER + "install.sql");
    }

    /** Writes tally.sql and tally-upgrade.sql into a folder, each with its checksum as {@code sha256sum --check} reads it. */
    public static void main(String... args) throws IOException {
        Path folder = Path.of(args[0]);
        write(folder.resolve("tally.sql"), install());
        write(folder.resolve("tally-upgrade.sql"), upgrade());
    }

    private static void write(Path file, String sql) throws IOException {
        Files.writeString(file, sql);
        Files.writeString(
                file.resolveSibling(file.getFileName() + ".sha256"),
                Sha256.hex(sql) + "  " + file.getFileName() + "\n");
    }

    private String with(String name) {
        text.append(
                "-- The whole engine of Countersink, as one transaction. Any client can run this file, psql with -f.\n");
        add(name);
        return text.toString();
    }

    private void add(String name) {
        read(name).lines().forEach(line -> {
            if (!line.startsWith("\\")) {
                if (!skipped && !line.endsWith(EACH)) {
                    text.append(line).append('\n');
                }
            } else {
                obey(line, name);
            }
        });
    }

    /** What the scripts say to psql. An unknown word is an error: what it stands for would be missing here. */
    private void obey(String line, String name) {
        if (line.equals("\\if :{?upgrade}")) {
            skipped = !upgrade;
        } else if (line.equals("\\else")) {
            skipped = !skipped;
        } else if (line.equals("\\endif")) {
            skipped = false;
        } else if (line.startsWith(INCLUDE)) {
            if (!skipped) {
                add(URI.create(name).resolve(line.substring(INCLUDE.length())).toString());
            }
        } else if (!line.startsWith("\\set ON_ERROR_STOP ")) {
            throw new IllegalStateException(name + ": " + line);
        }
    }

    private static String read(String name) {
        try (InputStream in = EngineScript.class.getClassLoader().getResourceAsStream(name)) {
            if (in == null) {
                throw new IllegalStateException("no " + name);
            }
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
