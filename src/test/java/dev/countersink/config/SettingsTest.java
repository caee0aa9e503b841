package dev.countersink.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.springframework.boot.context.properties.bind.Binder;
import org.springframework.boot.context.properties.source.ConfigurationPropertySources;
import org.springframework.core.env.StandardEnvironment;
import org.springframework.core.env.SystemEnvironmentPropertySource;
import org.springframework.util.unit.DataSize;

class SettingsTest {
    @Test
    void everythingHasADefault() {
        assertThat(bind("ingest", IngestSettings.class, Map.of())).isEqualTo(IngestSettings.defaults());
        assertThat(bind("http", HttpSettings.class, Map.of()).port()).isEqualTo(8080);
        assertThat(bind("refresh", RefreshSettings.class, Map.of()).interval()).isEqualTo(Duration.ofSeconds(1));
        MaintenanceSettings maintenance = bind("maintenance", MaintenanceSettings.class, Map.of());
        assertThat(maintenance)
                .isEqualTo(new MaintenanceSettings("0 30 3 * * ?", 0.01, Duration.ofDays(30), Duration.ofDays(365)));
        assertThat(maintenance.enabled()).isTrue();
        assertThat(bind("maintenance", MaintenanceSettings.class, Map.of("COUNTERSINK_MAINTENANCE_CRON", "off"))
                        .enabled())
                .isFalse();
        assertThat(bind("db", DbSettings.class, Map.of()).embedded()).isTrue();
        assertThat(bind("nats", NatsSettings.class, Map.of()).embedded()).isTrue();
        assertThat(bind("api", ApiSettings.class, Map.of()).token()).isNull();
    }

    @Test
    void namesInTheEnvironmentAreUnderstood() {
        Map<String, Object> environment = Map.of(
                "COUNTERSINK_INGEST_BATCH_MESSAGES", "77",
                "COUNTERSINK_INGEST_BATCH_BYTES", "2MB",
                "COUNTERSINK_INGEST_LINGER", "250ms");
        assertThat(bind("ingest", IngestSettings.class, environment))
                .isEqualTo(IngestSettings.defaults().withBatch(77, DataSize.ofMegabytes(2), Duration.ofMillis(250)));

        NatsSettings nats = bind(
                "nats",
                NatsSettings.class,
                Map.of(
                        "COUNTERSINK_NATS_URL", "tls://nats.example.org:4222",
                        "COUNTERSINK_NATS_CREDENTIALS", "/etc/nats.creds",
                        "COUNTERSINK_NATS_TLS", "true"));
        assertThat(nats.url()).isEqualTo("tls://nats.example.org:4222");
        assertThat(nats.credentials()).isEqualTo("/etc/nats.creds");
        assertThat(nats.tls()).isTrue();

        assertThat(bind("embedded", EmbeddedSettings.class, Map.of("COUNTERSINK_EMBEDDED_DIR", "/srv/countersink"))
                        .dir())
                .isEqualTo(Path.of("/srv/countersink"));
    }

    @Test
    void anEmptyValueCountsAsNone() {
        assertThat(bind("db", DbSettings.class, Map.of("COUNTERSINK_DB_URL", ""))
                        .embedded())
                .isTrue();
    }

    @Test
    void aValueOutOfBoundsIsRefusedInAFullSentence() {
        assertThatThrownBy(() -> IngestSettings.defaults().withBatch(0, DataSize.ofMegabytes(1), Duration.ZERO))
                .isInstanceOfSatisfying(StartupException.class, e -> {
                    assertThat(e)
                            .hasMessage("COUNTERSINK_INGEST_BATCH_MESSAGES is 0, but it must be at least 1 and at most"
                                    + " 100000.");
                    assertThat(e.hint()).isEqualTo("Change it, or leave it out: the default is 250.");
                });
        assertThatThrownBy(() -> new RefreshSettings(Duration.ofMillis(5), Duration.ofSeconds(5), 4))
                .hasMessage("COUNTERSINK_REFRESH_INTERVAL is 5ms, but it must be at least 100ms and at most 86400s.");
        assertThatThrownBy(() -> new MaintenanceSettings("0 30 25 * * ?", 0.5, Duration.ofDays(1), Duration.ofDays(1)))
                .isInstanceOfSatisfying(StartupException.class, e -> {
                    assertThat(e)
                            .hasMessageStartingWith(
                                    "COUNTERSINK_MAINTENANCE_CRON: cron is \"0 30 25 * * ?\", which cannot be read: ");
                    assertThat(e.hint()).contains("0 30 3 * * ?", "UTC");
                });
        assertThatThrownBy(() -> new MaintenanceSettings("off", Double.NaN, Duration.ofDays(1), Duration.ofDays(1)))
                .hasMessage(
                        "COUNTERSINK_MAINTENANCE_VERIFY_SAMPLE is NaN, but it must be at least 0.0 and at most 1.0.");
        assertThat(new LogSettings(" JSON ").json()).isTrue();
        assertThat(new LogSettings("").json()).isFalse();
        assertThatThrownBy(() -> new WebhookSettings("https://example.org/", null, null))
                .hasMessage("COUNTERSINK_WEBHOOK_URL is set, but COUNTERSINK_WEBHOOK_SECRET is not.");
        for (String url : List.of("ftp://u:secret@example.org/", "https:/alerts", "http://h:99999/", "https://a b/")) {
            assertThatThrownBy(() -> new WebhookSettings(url, "a-secret-for-the-tests", null))
                    .hasMessage("COUNTERSINK_WEBHOOK_URL is no URL of HTTP.");
        }
        assertThatThrownBy(() -> new WebhookSettings("https://u:secret@example.org/", "a-secret-for-the-tests", null))
                .hasMessage("COUNTERSINK_WEBHOOK_URL has a user in it, which is not sent.");
        assertThatThrownBy(() -> new WebhookSettings("https://example.org/", "short", null))
                .hasMessageContaining("has 5 characters");
        assertThat(new WebhookSettings(" ", "", Path.of(""))).isEqualTo(new WebhookSettings(null, null, null));
        assertThatThrownBy(() -> new WatchdogSettings(List.of("app"), Duration.ofMillis(10)))
                .hasMessage("COUNTERSINK_WATCHDOG_LIMIT is 10ms, but it must be at least 1s and at most 86400s.");
        assertThat(new WatchdogSettings(List.of(), Duration.ofMinutes(1)).enabled())
                .isFalse();
        assertThat(bind("watchdog", WatchdogSettings.class, Map.of("COUNTERSINK_WATCHDOG_ROLES", "report, \"Odd\""))
                        .roles())
                .containsExactly("report", "\"Odd\"");
        assertThatThrownBy(() -> new LogSettings("xml"))
                .hasMessage("COUNTERSINK_LOG_FORMAT is xml, but it must be text or json.");
        assertThatThrownBy(() -> new ApiSettings("short", 0, 10, DataSize.ofMegabytes(1)))
                .hasMessage("COUNTERSINK_API_TOKEN has 5 characters, but it must have at least 16.");
        assertThatThrownBy(() -> new ApiSettings(null, 0, 10, DataSize.ofKilobytes(1)))
                .hasMessage("COUNTERSINK_API_MAX_BODY is 1KB, but it must be at least 16KB and at most 64MB.");
    }

    @Test
    void whatIsMisspeltIsRefusedWithTheNearestName() {
        assertThatThrownBy(() -> check(Map.of("COUNTERSINK_INGEST_BATCHMESSAGE", "5")))
                .isInstanceOfSatisfying(StartupException.class, e -> {
                    assertThat(e).hasMessage("There is no setting COUNTERSINK_INGEST_BATCHMESSAGE.");
                    assertThat(e.hint()).contains("COUNTERSINK_INGEST_BATCH_MESSAGES");
                });
        assertThatThrownBy(() -> check(Map.of("COUNTERSINK_DB_PASSWD", "x")))
                .hasMessage("There is no setting COUNTERSINK_DB_PASSWD.");
        // Kubernetes sets these for a service of that name.
        check(Map.of(
                "COUNTERSINK_SERVICE_HOST", "10.0.0.1",
                "COUNTERSINK_SERVICE_PORT_HTTP", "80",
                "COUNTERSINK_PORT", "tcp://10.0.0.1:80",
                "COUNTERSINK_PORT_80_TCP_ADDR", "10.0.0.1",
                "COUNTERSINK_JAVA_OPTS", "-Xmx1g",
                "COUNTERSINK_INGEST_REPLY_SUBJECTS_0", "_INBOX.>",
                "COUNTERSINK_NATS_USER", "u"));
    }

    @Test
    void aTimeHasAUnit() {
        assertThatThrownBy(() -> check(Map.of("COUNTERSINK_REFRESH_INTERVAL", "5")))
                .isInstanceOfSatisfying(StartupException.class, e -> {
                    assertThat(e).hasMessage("COUNTERSINK_REFRESH_INTERVAL is 5, which has no unit.");
                    assertThat(e.hint()).contains("5s");
                });
        check(Map.of("COUNTERSINK_INGEST_LINGER", "0", "COUNTERSINK_REFRESH_INTERVAL", "5s"));
    }

    @Test
    void aTokenThatNoHeaderCanCarryIsRefused() {
        for (String token :
                new String[] {"a-tökén-for-the-tests", "a token for the tests", "a-token-for-the-tests\u20ac"}) {
            assertThatThrownBy(() -> new ApiSettings(token, 0, 10, DataSize.ofMegabytes(1)))
                    .hasMessageContaining("COUNTERSINK_API_TOKEN")
                    .hasMessageNotContaining(token);
        }
    }

    @Test
    void urlsAreShownWithoutTheirSecrets() {
        for (String url : new String[] {
            "nats://u:sesame@h:4222",
            "nats://sesame@h",
            "nats://u:ses@ame@h",
            "nats://u:sesame@h1,nats://u:sesame@h2",
            "nats://u:ses,ame@h",
            "u:sesame@h:4222",
            "nats://u:sesame/x@h",
            "tls://u:sesame@h?sesame",
            "nats://h:1,nats://u:sesame@h2"
        }) {
            NatsSettings settings = new NatsSettings(url, null, null, null, null, false, null, null);
            assertThat(settings.shownUrl())
                    .as(url)
                    .doesNotContain("ses")
                    .doesNotContain("ame")
                    .contains("h");
            assertThat(settings.toString()).as(url).doesNotContain("sesame");
            assertThat(settings.withoutSecrets("no way to " + url + ", sesame"))
                    .as(url)
                    .doesNotContain(url);
        }
        assertThat(DbSettings.of("postgres://u:sesame@h/db", null, null).toString())
                .doesNotContain("sesame");
        assertThat(new NatsSettings("nats://h1:1,nats://h2:2", null, null, null, null, false, null, null).shownUrl())
                .isEqualTo("nats://h1:1,nats://h2:2");
    }

    @Test
    void secretsAreNotPrinted() {
        assertThat(DbSettings.of("jdbc:postgresql://db/app", "app", "secret").toString())
                .doesNotContain("secret");
        assertThat(new NatsSettings("nats://n", "u", "secret", "secret", null, false, null, null).toString())
                .doesNotContain("secret");
        assertThat(new ApiSettings("secret-secret-secret", 0, 10, DataSize.ofMegabytes(1)).toString())
                .doesNotContain("secret-");
    }

    private static void check(Map<String, Object> variables) {
        SettingNames.check(environment(variables));
    }

    private static <T> T bind(String prefix, Class<T> type, Map<String, Object> variables) {
        return Binder.get(environment(variables)).bindOrCreate("countersink." + prefix, type);
    }

    private static StandardEnvironment environment(Map<String, Object> variables) {
        StandardEnvironment environment = new StandardEnvironment();
        environment
                .getPropertySources()
                .replace(
                        StandardEnvironment.SYSTEM_ENVIRONMENT_PROPERTY_SOURCE_NAME,
                        new SystemEnvironmentPropertySource(
                                StandardEnvironment.SYSTEM_ENVIRONMENT_PROPERTY_SOURCE_NAME, variables));
        ConfigurationPropertySources.attach(environment);
        return environment;
    }
}
