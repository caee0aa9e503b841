package dev.countersink;

import dev.countersink.admin.ListenAddress;
import dev.countersink.admin.Tls;
import dev.countersink.config.SettingNames;
import java.util.Map;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.context.properties.ConfigurationPropertiesScan;
import org.springframework.boot.security.autoconfigure.UserDetailsServiceAutoConfiguration;
import org.springframework.boot.webmvc.autoconfigure.error.ErrorMvcAutoConfiguration;
import org.springframework.context.ConfigurableApplicationContext;

/** The service. */
@SpringBootApplication(
        proxyBeanMethods = false,
        exclude = {ErrorMvcAutoConfiguration.class, UserDetailsServiceAutoConfiguration.class})
@ConfigurationPropertiesScan
public class Countersink {

    /**
     * Starts an instance in this JVM.
     *
     * @param settings take precedence over the environment; full names as in {@code countersink.http.port}
     * @return the running instance; closing it finishes the current batches and stops what was started
     */
    public static ConfigurableApplicationContext start(Map<String, Object> settings) {
        SpringApplication application = new SpringApplication(Countersink.class);
        // Spring's own hook would run too late, and at the same time as the one that closes open contexts.
        application.setRegisterShutdownHook(false);
        application.addInitializers(context -> context.getEnvironment()
                .getPropertySources()
                .addFirst(new org.springframework.core.env.MapPropertySource("given", settings)));
        application.addInitializers(ProgramEnd::closing);
        // Before anything is opened, migrated or begun.
        application.addInitializers(context -> SettingNames.check(context.getEnvironment()));
        application.addInitializers(context -> LogFormat.apply(context.getEnvironment()));
        application.addInitializers(context -> ListenAddress.check(context.getEnvironment()));
        application.addInitializers(context -> Tls.configure(context.getEnvironment()));
        ConfigurableApplicationContext context = application.run();
        ProgramEnd.started();
        return context;
    }
}
