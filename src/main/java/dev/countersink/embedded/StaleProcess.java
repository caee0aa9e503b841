package dev.countersink.embedded;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** Stops servers, also one that a killed program has left running on the same folder. The folder's lock shows that nobody uses it. */
final class StaleProcess {
    private static final long PATIENCE_S = 30;

    private StaleProcess() {}

    static void stop(Path pidFile, String program) throws IOException {
        ProcessHandle process = running(pidFile, program).orElse(null);
        if (process == null) {
            return;
        }
        process.destroy();
        awaitEnd(process, PATIENCE_S);
    }

    /** The process with the PID in the file, if it still runs this program. */
    static Optional<ProcessHandle> running(Path pidFile, String program) throws IOException {
        if (!Files.exists(pidFile)) {
            return Optional.empty();
        }
        String pid = Files.readString(pidFile).lines().findFirst().orElse("").strip();
        if (!pid.matches("\\d{1,18}")) {
            return Optional.empty();
        }
        // The PID may belong to another program by now.
        return ProcessHandle.of(Long.parseLong(pid))
                .filter(process -> process.info().command().orElse("").endsWith("/" + program));
    }

    static void awaitEnd(ProcessHandle process, long seconds) throws IOException {
        try {
            process.onExit().get(seconds, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted while ending process " + process.pid(), e);
        } catch (ExecutionException | TimeoutException e) {
            throw new IOException(
                    String.format(Locale.ROOT, "process %d was told to end, but does not", process.pid()), e);
        }
    }
}
