package dev.countersink.db;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.countersink.config.DbSettings;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.TestPostgres;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.Test;

/** A server whose machine is gone is noticed, because the system asks whether it is still there. */
class WatchedSocketsTest {
    private static final List<Path> TABLES = List.of(Path.of("/proc/net/tcp"), Path.of("/proc/net/tcp6"));
    private static final int REMOTE = 2;
    private static final int STATE = 3;
    private static final int TIMER = 5;
    private static final String ESTABLISHED = "01";
    private static final String KEEPALIVE = "02";
    private static final long HALF_A_MINUTE = 30 * 100;

    @Test
    void aConnectionThatIsSilentIsAskedWithinHalfAMinute() throws Exception {
        assumeTrue(Files.exists(TABLES.get(0)), "only Linux shows it");
        DbSettings db = TestPostgres.empty();
        String port =
                String.format(Locale.ROOT, ":%04X", Integer.parseInt(db.url().replaceFirst("^.*:(\\d+)/.*$", "$1")));
        try (Connection connection = Database.connect(db)) {
            assertThat(connection.isValid(10)).isTrue();
            Eventually.await(
                    "the next thing that happens is that it is asked",
                    () -> timers(port),
                    timers -> !timers.isEmpty()
                            && timers.stream()
                                    .allMatch(timer -> timer[0].equals(KEEPALIVE)
                                            && Long.parseLong(timer[1], 16) <= HALF_A_MINUTE));
        }
    }

    /** Of the connections to a port: what each waits for, and for how many hundredths of a second. */
    private static List<String[]> timers(String port) throws IOException {
        List<String[]> timers = new ArrayList<>();
        for (Path table : TABLES) {
            for (String line : Files.readAllLines(table)) {
                String[] fields = line.strip().split("\\s+");
                if (fields[REMOTE].endsWith(port) && fields[STATE].equals(ESTABLISHED)) {
                    timers.add(fields[TIMER].split(":"));
                }
            }
        }
        return timers;
    }
}
