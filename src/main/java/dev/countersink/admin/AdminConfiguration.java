package dev.countersink.admin;

import dev.countersink.config.ApiSettings;
import dev.countersink.config.HttpSettings;
import dev.countersink.config.StartupException;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.boot.web.server.ConfigurableWebServerFactory;
import org.springframework.boot.web.server.WebServerFactoryCustomizer;
import org.springframework.boot.web.server.context.WebServerInitializedEvent;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.event.EventListener;
import org.springframework.http.HttpHeaders;
import org.springframework.http.HttpStatus;
import org.springframework.http.MediaType;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.config.annotation.web.configurers.AbstractHttpConfigurer;
import org.springframework.security.config.http.SessionCreationPolicy;
import org.springframework.security.web.AuthenticationEntryPoint;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.security.web.authentication.AnonymousAuthenticationFilter;
import tools.jackson.databind.json.JsonMapper;

/** Where the admin API listens, and who may call it. */
@Configuration(proxyBeanMethods = false)
class AdminConfiguration {
    private static final Logger LOG = LoggerFactory.getLogger(AdminConfiguration.class);

    @Bean
    ApiToken apiToken(ApiSettings settings) {
        return ApiToken.of(settings.token());
    }

    @Bean
    WebServerFactoryCustomizer<ConfigurableWebServerFactory> address(HttpSettings http, ApiToken token) {
        InetAddress address = address(http.address(), token.configured());
        return factory -> {
            factory.setPort(http.port());
            factory.setAddress(address);
        };
    }

    @Bean
    SecurityFilterChain security(HttpSecurity http, ApiToken token, JsonMapper json) {
        return http.authorizeHttpRequests(requests -> requests.requestMatchers("/actuator/health/**")
                        .permitAll()
                        .anyRequest()
                        .authenticated())
                .addFilterBefore(new TokenFilter(token), AnonymousAuthenticationFilter.class)
                .exceptionHandling(handling -> handling.authenticationEntryPoint(unauthorized(json)))
                // There are no browser sessions, so no request can be forged in the name of one.
                .csrf(AbstractHttpConfigurer::disable)
                .sessionManagement(session -> session.sessionCreationPolicy(SessionCreationPolicy.STATELESS))
                .logout(AbstractHttpConfigurer::disable)
                .requestCache(AbstractHttpConfigurer::disable)
                .build();
    }

    /** Logs once where the API is, and its token if none was configured. */
    @Bean
    Announcement announcement(ApiToken token) {
        return new Announcement(token);
    }

    record Announcement(ApiToken token) {
        @EventListener
        void started(WebServerInitializedEvent event) {
            LOG.info("Admin API on port {}", event.getWebServer().getPort());
            if (!token.configured()) {
                LOG.info(
                        "Its bearer token, for this run only: {} (set COUNTERSINK_API_TOKEN for one that stays)",
                        token.value());
            }
        }
    }

    private static AuthenticationEntryPoint unauthorized(JsonMapper json) {
        return (request, response, failure) -> {
            response.setStatus(HttpStatus.UNAUTHORIZED.value());
            response.setHeader(HttpHeaders.WWW_AUTHENTICATE, "Bearer");
            response.setContentType(MediaType.APPLICATION_PROBLEM_JSON_VALUE);
            json.writeValue(
                    response.getOutputStream(),
                    Problems.problem(
                            HttpStatus.UNAUTHORIZED,
                            "28000",
                            "The request carries no valid bearer token.",
                            "Send 'Authorization: Bearer …' with the token of COUNTERSINK_API_TOKEN,"
                                    + " or with the one printed at start if that is not set."));
        };
    }

    private static @Nullable InetAddress address(@Nullable String configured, boolean token) {
        try {
            if (configured == null) {
                return token ? null : InetAddress.getByName("127.0.0.1");
            }
            InetAddress address = InetAddress.getByName(configured);
            if (!token && !address.isLoopbackAddress()) {
                throw new StartupException(
                        String.format(
                                Locale.ROOT,
                                "countersink.http.address is %s, but without a token of its own the API listens on loopback only.",
                                configured),
                        "Set COUNTERSINK_API_TOKEN, or leave the address out: the default is then 127.0.0.1.");
            }
            return address;
        } catch (UnknownHostException e) {
            throw new StartupException(
                    String.format(
                            Locale.ROOT,
                            "countersink.http.address is %s, which is no address of this machine.",
                            configured),
                    "Give an IP address, or leave it out.",
                    e);
        }
    }
}
