package dev.countersink.db;

import com.zaxxer.hikari.HikariDataSource;
import dev.countersink.embedded.Servers;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

/** The database of an instance. Its connections are given out only after the schema was migrated. */
@Configuration(proxyBeanMethods = false)
class DbConfiguration {

    @Bean
    HikariDataSource dataSource(Servers servers) {
        return Database.open(servers.db());
    }
}
