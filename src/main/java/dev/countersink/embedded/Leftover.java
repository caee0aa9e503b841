package dev.countersink.embedded;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** Ends a server that a killed program left running on the same folder. The folder's lock says that nobody uses it. */
final class Leftover {
    private static final long PATIENCE_S = 30;

    private Leftover() {}

    static void stop(Path pidFile, String program) throws IOException {
        if (!Files.exists(pidFile)) {
            return;
        }
        String pid = Files.readString(pidFile).lines().findFirst().orElse("").strip();
        if (!pid.matches("\\d{1,18}")) {
            return;
        }
        ProcessHandle process = ProcessHandle.of(Long.parseLong(pid)).orElse(null);
        // The number may belong to another program by now.
        if (process == null || !process.info().command().orElse("").endsWith("/" + program)) {
            return;
        }
        process.destroy();
        try {
            process.onExit().get(PATIENCE_S, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted while ending process " + pid, e);
        } catch (ExecutionException | TimeoutException e) {
            throw new IOException("process %s of an earlier run does not end".formatted(pid), e);
        }
    }
}
