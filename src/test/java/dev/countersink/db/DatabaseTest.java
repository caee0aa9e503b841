package dev.countersink.db;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.zaxxer.hikari.HikariDataSource;
import dev.countersink.config.DbSettings;
import dev.countersink.config.StartupException;
import dev.countersink.testing.TestPostgres;
import java.sql.Connection;
import org.junit.jupiter.api.Test;

class DatabaseTest {
    @Test
    void aServerThatIsTooOldIsRefused() {
        assertThatThrownBy(() -> Database.checkVersion(14))
                .isInstanceOf(StartupException.class)
                .hasMessage("The server is PostgreSQL 14, but Countersink needs PostgreSQL 15 or newer.");
        assertThatCode(() -> Database.checkVersion(15)).doesNotThrowAnyException();
    }

    /** Or an outage would be logged anew each time that it is met. */
    @Test
    void whyThereIsNoConnectionIsToldInTheSameWordsEachTime() throws Exception {
        try (HikariDataSource pool = new HikariDataSource()) {
            pool.setJdbcUrl("jdbc:postgresql://127.0.0.1:1/none");
            pool.setConnectionTimeout(250);
            pool.setInitializationFailTimeout(-1);
            assertThatThrownBy(pool::getConnection)
                    .satisfies(e -> assertThat(sentence(e))
                            .startsWith("Connection to 127.0.0.1:1 refused")
                            .doesNotContain("total="));
        }
        DbSettings db = TestPostgres.empty();
        try (HikariDataSource pool = new HikariDataSource()) {
            pool.setJdbcUrl(db.url());
            pool.setUsername(db.user());
            pool.setPassword(db.password());
            pool.setMaximumPoolSize(1);
            pool.setConnectionTimeout(250);
            try (Connection only = pool.getConnection()) {
                assertThat(only.isValid(5)).isTrue();
                assertThatThrownBy(pool::getConnection)
                        .satisfies(e -> assertThat(sentence(e))
                                .isEqualTo("No connection of the pool has become free in time."));
            }
        }
    }

    private static String sentence(Throwable failure) {
        return SqlError.in(failure).orElseThrow().message();
    }
}
