package dev.countersink.db;

import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.countersink.config.StartupException;
import org.junit.jupiter.api.Test;

class DatabaseTest {
    @Test
    void aServerThatIsTooOldIsRefused() {
        assertThatThrownBy(() -> Database.checkVersion(14))
                .isInstanceOf(StartupException.class)
                .hasMessage("The server is PostgreSQL 14, but Countersink needs PostgreSQL 15 or newer.");
        assertThatCode(() -> Database.checkVersion(15)).doesNotThrowAnyException();
    }
}
