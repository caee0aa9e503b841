package dev.countersink.admin;

import dev.countersink.config.ApiSettings;
import dev.countersink.config.HttpSettings;
import java.net.InetAddress;
import java.time.Duration;
import org.apache.catalina.Context;
import org.apache.catalina.Valve;
import org.apache.catalina.connector.Connector;
import org.apache.catalina.core.StandardHost;
import org.apache.catalina.valves.ErrorReportValve;
import org.apache.coyote.http11.AbstractHttp11Protocol;
import org.apache.tomcat.util.buf.EncodedSolidusHandling;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.boot.tomcat.servlet.TomcatServletWebServerFactory;
import org.springframework.boot.web.server.WebServerFactoryCustomizer;
import org.springframework.boot.web.server.context.WebServerInitializedEvent;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.event.EventListener;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.config.annotation.web.configurers.AbstractHttpConfigurer;
import org.springframework.security.config.http.SessionCreationPolicy;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.security.web.authentication.AnonymousAuthenticationFilter;
import org.springframework.security.web.firewall.HttpFirewall;
import org.springframework.security.web.firewall.StrictHttpFirewall;

/** Where the admin API listens, and who may call it. */
@Configuration(proxyBeanMethods = false)
class AdminConfiguration {
    private static final Logger LOG = LoggerFactory.getLogger(AdminConfiguration.class);
    /** Between two reads of a body. */
    private static final Duration BODY = Duration.ofSeconds(20);

    @Bean
    ApiToken apiToken(ApiSettings settings) {
        return ApiToken.of(settings.token());
    }

    /** The web server. It writes no page of its own: {@link HttpGate} describes every error. */
    @Bean
    WebServerFactoryCustomizer<TomcatServletWebServerFactory> webServer(
            HttpSettings http, ApiToken token, ProblemWriter problems) {
        InetAddress address = ListenAddress.of(http.address(), token.configured());
        return factory -> {
            factory.setPort(http.port());
            factory.setAddress(address);
            factory.setProtocol(ImpatientProtocol.class.getName());
            factory.addConnectorCustomizers(AdminConfiguration::customize);
            factory.addContextCustomizers(AdminConfiguration::removeErrorPages);
            factory.addEngineValves(new HttpGate(token, problems, HttpGate.REQUESTS));
        };
    }

    private static void customize(Connector connector) {
        // A quoted name of a view may have a slash in it.
        connector.setEncodedSolidusHandling(EncodedSolidusHandling.PASS_THROUGH.getValue());
        connector.setEncodedReverseSolidusHandling(EncodedSolidusHandling.PASS_THROUGH.getValue());
        // Parameters are those of the query: no form is read.
        connector.setParseBodyMethods("");
        if (connector.getProtocolHandler() instanceof AbstractHttp11Protocol<?> protocol) {
            protocol.setDisableUploadTimeout(false);
            protocol.setConnectionUploadTimeout((int) BODY.toMillis());
        }
    }

    private static void removeErrorPages(Context context) {
        StandardHost host = (StandardHost) context.getParent();
        host.setErrorReportValveClass("");
        for (Valve valve : host.getPipeline().getValves()) {
            if (valve instanceof ErrorReportValve) {
                host.getPipeline().removeValve(valve);
            }
        }
    }

    /** What it refuses by default is refused by its right status later, or is harmless: every path but the probes' needs the token. */
    @Bean
    HttpFirewall firewall() {
        StrictHttpFirewall firewall = new StrictHttpFirewall();
        firewall.setUnsafeAllowAnyHttpMethod(true);
        firewall.setAllowUrlEncodedPercent(true);
        firewall.setAllowUrlEncodedSlash(true);
        firewall.setAllowUrlEncodedDoubleSlash(true);
        firewall.setAllowBackSlash(true);
        firewall.setAllowSemicolon(true);
        firewall.setAllowUrlEncodedPeriod(true);
        firewall.setAllowUrlEncodedLineFeed(true);
        firewall.setAllowUrlEncodedCarriageReturn(true);
        return firewall;
    }

    @Bean
    SecurityFilterChain security(HttpSecurity http, ApiToken token, ProblemWriter problems) {
        return http.authorizeHttpRequests(requests -> requests.requestMatchers("/actuator/health/**")
                        .permitAll()
                        .anyRequest()
                        .authenticated())
                .addFilterBefore(new TokenFilter(token), AnonymousAuthenticationFilter.class)
                .exceptionHandling(handling -> handling.authenticationEntryPoint(
                        (request, response, failure) -> problems.unauthorized(response)))
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
}
