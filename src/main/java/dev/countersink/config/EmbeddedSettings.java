package dev.countersink.config;

import java.nio.file.Path;
import org.springframework.boot.context.properties.ConfigurationProperties;

/**
 * Where the embedded servers keep their data.
 *
 * @param dir a folder for them alone; {@code $XDG_DATA_HOME/countersink} or {@code ~/.local/share/countersink} if null
 */
@ConfigurationProperties("countersink.embedded")
public record EmbeddedSettings(Path dir) {

    // Spring passes null if it is not set; the component itself never is.
    public EmbeddedSettings {
        dir = dir == null ? dataHome().resolve("countersink") : dir.toAbsolutePath();
    }

    private static Path dataHome() {
        String xdg = Check.orNull(System.getenv("XDG_DATA_HOME"));
        return xdg != null ? Path.of(xdg) : Path.of(System.getProperty("user.home"), ".local", "share");
    }
}
