package dev.countersink.embedded;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** The folder in which unpacked programs are kept between runs. Only the user can write to it, unlike /tmp. */
final class Cache {
    private Cache() {}

    static Path dir() throws IOException {
        String xdg = System.getenv("XDG_CACHE_HOME");
        Path home = xdg != null && !xdg.isBlank() ? Path.of(xdg) : Path.of(System.getProperty("user.home"), ".cache");
        return Files.createDirectories(home.resolve("countersink"));
    }
}
