package dev.countersink.admin;

import dev.countersink.config.ApiSettings;
import dev.countersink.config.HttpSettings;
import dev.countersink.db.AccessDb;
import io.micrometer.core.instrument.MeterRegistry;
import jakarta.servlet.DispatcherType;
import java.net.InetAddress;
import java.time.Duration;
import java.time.InstantSource;
import org.apache.catalina.Context;
import org.apache.catalina.Valve;
import org.apache.catalina.connector.Connector;
import org.apache.catalina.core.StandardHost;
import org.apache.catalina.valves.ErrorReportValve;
import org.apache.coyote.ContinueResponseTiming;
import org.apache.coyote.http11.AbstractHttp11Protocol;
import org.apache.tomcat.util.buf.EncodedSolidusHandling;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.tomcat.servlet.TomcatServletWebServerFactory;
import org.springframework.boot.web.server.WebServerFactoryCustomizer;
import org.springframework.boot.web.server.context.WebServerInitializedEvent;
import org.springframework.boot.web.servlet.FilterRegistrationBean;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.event.EventListener;
import org.springframework.http.HttpMethod;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.config.annotation.web.configurers.AbstractHttpConfigurer;
import org.springframework.security.config.http.SessionCreationPolicy;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.security.web.authentication.AnonymousAuthenticationFilter;
import org.springframework.security.web.firewall.HttpFirewall;
import org.springframework.security.web.firewall.StrictHttpFirewall;
import org.springframework.security.web.header.writers.ReferrerPolicyHeaderWriter.ReferrerPolicy;
import org.springframework.web.servlet.config.annotation.InterceptorRegistry;
import org.springframework.web.servlet.config.annotation.WebMvcConfigurer;

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

    @Bean
    SessionCookie sessionCookie(ApiToken token) {
        return new SessionCookie(token, InstantSource.system());
    }

    /** The web server is made before the database is opened, and serves nobody before that. */
    @Bean
    NamedTokens namedTokens(ObjectProvider<AccessDb> db) {
        return new NamedTokens(() -> db.getObject().validTokens(), System::nanoTime);
    }

    @Bean
    Access access(ApiToken token, NamedTokens named, SessionCookie cookie) {
        return new Access(token, named, cookie);
    }

    @Bean
    ClientAddress clientAddress(HttpSettings http) {
        return new ClientAddress(http.forwarded());
    }

    @Bean
    TokenFilter tokenFilter(
            Access access,
            ApiSettings settings,
            ClientAddress address,
            AuditLog audit,
            ProblemWriter problems,
            MeterRegistry metrics) {
        return new TokenFilter(
                access,
                new FailedLogins(settings.failures(), System::nanoTime, metrics),
                new RateLimit(settings.rate(), System::nanoTime),
                address,
                audit,
                problems);
    }

    /** It is called where the chain says, and nowhere else. */
    @Bean
    FilterRegistrationBean<TokenFilter> tokenFilterOnlyInTheChain(TokenFilter filter) {
        FilterRegistrationBean<TokenFilter> registration = new FilterRegistrationBean<>(filter);
        registration.setEnabled(false);
        return registration;
    }

    @Bean
    ActNotes actNotes(ObjectProvider<AccessDb> db) {
        return new ActNotes(db::getObject);
    }

    @Bean
    AuditLog auditLog(ObjectProvider<AccessDb> db, ActNotes notes, ClientAddress address) {
        return new AuditLog(db::getObject, notes, address);
    }

    @Bean
    WebMvcConfigurer roles(Access access, AuditLog audit) {
        RoleCheck check = new RoleCheck(access, audit);
        return new WebMvcConfigurer() {
            @Override
            public void addInterceptors(InterceptorRegistry registry) {
                registry.addInterceptor(check);
            }
        };
    }

    /** The web server. It writes no page of its own: {@link HttpGate} describes every error. */
    @Bean
    WebServerFactoryCustomizer<TomcatServletWebServerFactory> webServer(
            HttpSettings http, ApiToken token, Access access, ProblemWriter problems) {
        InetAddress address = ListenAddress.of(http.address(), token.configured());
        return factory -> {
            factory.setPort(http.port());
            factory.setAddress(address);
            factory.setProtocol(ImpatientProtocol.class.getName());
            factory.addConnectorCustomizers(AdminConfiguration::customize);
            factory.addContextCustomizers(AdminConfiguration::removeErrorPages);
            factory.addEngineValves(new HttpGate(access, problems, HttpGate.REQUESTS));
        };
    }

    private static void customize(Connector connector) {
        // A quoted name of a view may have a slash in it.
        connector.setEncodedSolidusHandling(EncodedSolidusHandling.PASS_THROUGH.getValue());
        connector.setEncodedReverseSolidusHandling(EncodedSolidusHandling.PASS_THROUGH.getValue());
        // Parameters are those of the query: no form is read.
        connector.setParseBodyMethods("");
        if (connector.getProtocolHandler() instanceof AbstractHttp11Protocol<?> protocol) {
            // Nobody is asked for a body that is not read.
            protocol.setContinueResponseTiming(ContinueResponseTiming.ON_REQUEST_BODY_READ.toString());
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

    /** What it refuses by default is refused by its right status later, or is harmless: every path with data but the probes' needs the token. */
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
    SecurityFilterChain security(HttpSecurity http, TokenFilter tokens, ProblemWriter problems) {
        return http.authorizeHttpRequests(requests -> requests
                        // The end of a stream, whose request was admitted.
                        .dispatcherTypeMatchers(DispatcherType.ASYNC)
                        .permitAll()
                        .requestMatchers("/actuator/health/**", "/", "/ui/*")
                        .permitAll()
                        .requestMatchers(HttpMethod.GET, "/api/session", "/api/openapi.json")
                        .permitAll()
                        .anyRequest()
                        .authenticated())
                .addFilterBefore(tokens, AnonymousAuthenticationFilter.class)
                .exceptionHandling(handling -> handling.authenticationEntryPoint(
                        (request, response, failure) -> problems.unauthorized(response)))
                // A browser's cookie alone changes nothing: see Access.
                .csrf(AbstractHttpConfigurer::disable)
                .sessionManagement(session -> session.sessionCreationPolicy(SessionCreationPolicy.STATELESS))
                .logout(AbstractHttpConfigurer::disable)
                .requestCache(AbstractHttpConfigurer::disable)
                .headers(headers -> headers.contentSecurityPolicy(
                                policy -> policy.policyDirectives(SecurityHeaders.OF_PAGES))
                        .referrerPolicy(policy -> policy.policy(ReferrerPolicy.NO_REFERRER)))
                .build();
    }

    /** Logs once where the API is, and its token if none was configured. */
    @Bean
    Announcement announcement(ApiToken token, HttpSettings http) {
        return new Announcement(token, http);
    }

    record Announcement(ApiToken token, HttpSettings http) {
        @EventListener
        void started(WebServerInitializedEvent event) {
            LOG.info(
                    "Dashboard and API: {}://{}:{}/",
                    http.certificate() == null ? "http" : "https",
                    http.host(),
                    event.getWebServer().getPort());
            if (!token.configured()) {
                LOG.info(
                        "Its bearer token, for this run only: {} (set COUNTERSINK_API_TOKEN for one that stays)",
                        token.value());
            }
        }
    }
}
