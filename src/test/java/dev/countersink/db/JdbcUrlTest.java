package dev.countersink.db;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.countersink.config.DbSettings;
import dev.countersink.config.StartupException;
import org.junit.jupiter.api.Test;

class JdbcUrlTest {
    @Test
    void aUrlOfTheDriverIsTakenAsItIs() {
        assertThat(of("jdbc:postgresql://a:1,b:2/app?targetServerType=primary", "u", "p"))
                .isEqualTo(new JdbcUrl("jdbc:postgresql://a:1,b:2/app?targetServerType=primary", "u", "p"));
    }

    @Test
    void aUrlOfLibpqIsTranslated() {
        assertThat(of("postgres://me:p%40ss+word@db.example.org:5433/app?sslmode=require", null, null))
                .isEqualTo(new JdbcUrl("jdbc:postgresql://db.example.org:5433/app?sslmode=require", "me", "p@ss+word"));
        assertThat(of("postgresql://db/app", null, null))
                .isEqualTo(new JdbcUrl("jdbc:postgresql://db/app", null, null));
    }

    @Test
    void userAndPasswordOfTheSettingsComeFirst() {
        assertThat(of("postgres://me:mine@db/app", "you", "yours"))
                .isEqualTo(new JdbcUrl("jdbc:postgresql://db/app", "you", "yours"));
    }

    @Test
    void anythingElseIsRefusedWithoutShowingIt() {
        assertThatThrownBy(() -> of("mysql://me:secret@db/app", null, null))
                .isInstanceOf(StartupException.class)
                .hasMessageNotContaining("secret");
    }

    private static JdbcUrl of(String url, String user, String password) {
        return JdbcUrl.of(DbSettings.of(url, user, password));
    }
}
