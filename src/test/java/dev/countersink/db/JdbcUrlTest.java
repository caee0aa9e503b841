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
    void aLoginIsFoundBeforeSeveralHostsAndWithAnyPassword() {
        assertThat(of("postgres://u:p@h1,h2/db", null, null))
                .isEqualTo(new JdbcUrl("jdbc:postgresql://h1,h2/db", "u", "p"));
        assertThat(of("postgres://u:p@h1:5432,h2:5433/db?targetServerType=primary", null, null))
                .isEqualTo(new JdbcUrl("jdbc:postgresql://h1:5432,h2:5433/db?targetServerType=primary", "u", "p"));
        assertThat(of("jdbc:postgresql://u:p@h/db", null, null))
                .isEqualTo(new JdbcUrl("jdbc:postgresql://h/db", "u", "p"));
        for (String password :
                new String[] {"p@ss", "p%40ss", "p/ss", "p%2Fss", "p:ss", "p?ss", "p#ss", "p%ss", "p ss", "p[ss"}) {
            String plain = password.replace("%40", "@").replace("%2F", "/");
            assertThat(of("postgres://u:" + password + "@[::1]:5432/db", null, null))
                    .isEqualTo(new JdbcUrl("jdbc:postgresql://[::1]:5432/db", "u", plain));
        }
        assertThat(of("postgres://h/db?password=a@b", null, null).url())
                .isEqualTo("jdbc:postgresql://h/db?password=a@b");
    }

    @Test
    void noSecretIsShown() {
        JdbcUrl url = of("postgres://u:ses%40me@h/db?sslpassword=other", null, null);
        assertThat(url.shown()).isEqualTo("jdbc:postgresql://h/db");
        assertThat(url.withoutSecrets("no ses@me, no other; " + url.url()))
                .isEqualTo("no …, no …; jdbc:postgresql://h/db");
        for (String wrong : new String[] {
            "postgres://u:sesame",
            "postgres://u:sesame/db",
            "jdbc:postgresql://u:sesame",
            "postgres:u:sesame@h/db",
            "u:sesame@h"
        }) {
            assertThatThrownBy(() -> of(wrong, null, null))
                    .isInstanceOf(StartupException.class)
                    .hasMessageNotContaining("sesame");
        }
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
