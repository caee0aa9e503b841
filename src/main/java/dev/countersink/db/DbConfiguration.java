package dev.countersink.db;

import com.zaxxer.hikari.HikariDataSource;
import dev.countersink.embedded.Servers;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

/** The database of an instance: whoever is given a connection finds the schema up to date. */
@Configuration(proxyBeanMethods = false)
class DbConfiguration {

    @Bean
    HikariDataSource dataSource(Servers servers) {
        return Database.open(servers.db());
    }
}
