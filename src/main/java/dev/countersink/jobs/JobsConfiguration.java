package dev.countersink.jobs;

import dev.countersink.config.RefreshSettings;
import java.time.InstantSource;
import java.util.Properties;
import org.springframework.boot.quartz.autoconfigure.QuartzProperties;
import org.springframework.boot.quartz.autoconfigure.SchedulerFactoryBeanCustomizer;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

/** The scheduler of an instance. */
@Configuration(proxyBeanMethods = false)
class JobsConfiguration {

    @Bean
    RetryBackoff backoff() {
        return new RetryBackoff(InstantSource.system());
    }

    @Bean
    SchedulerFactoryBeanCustomizer schedulerThreads(RefreshSettings settings, QuartzProperties quartz) {
        Properties properties = new Properties();
        properties.putAll(quartz.getProperties());
        properties.setProperty("org.quartz.threadPool.threadCount", Integer.toString(settings.threads()));
        return factory -> factory.setQuartzProperties(properties);
    }
}
