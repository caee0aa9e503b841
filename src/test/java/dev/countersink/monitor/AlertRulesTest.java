package dev.countersink.monitor;

import static org.assertj.core.api.Assertions.assertThat;

import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.nio.file.Path;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.springframework.beans.factory.config.YamlMapFactoryBean;
import org.springframework.core.io.FileSystemResource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** The program's rules are those of ops/alerts.yaml. */
class AlertRulesTest {
    private static final Map<String, Integer> SECONDS = Map.of("s", 1, "m", 60, "h", 3600);

    private final SimpleMeterRegistry meters = new SimpleMeterRegistry();
    private final AlertRules rules = new AlertRules(meters);

    @Test
    void theyAreThoseOfPrometheus() {
        Map<String, String> ofPrometheus = new HashMap<>();
        for (Map<?, ?> group : maps(yaml().get("groups"))) {
            for (Map<?, ?> rule : maps(group.get("rules"))) {
                String hold = rule.containsKey("for") ? String.valueOf(rule.get("for")) : "0s";
                int seconds = Integer.parseInt(hold.substring(0, hold.length() - 1))
                        * SECONDS.get(hold.substring(hold.length() - 1));
                boolean critical = "critical".equals(((Map<?, ?>) rule.get("labels")).get("severity"));
                ofPrometheus.put(
                        String.valueOf(rule.get("alert")).replaceFirst("^Countersink", ""),
                        "%d s, %s".formatted(seconds, critical ? "bad" : "warn"));
            }
        }
        // Of these two only an outsider can tell.
        assertThat(ofPrometheus.remove("Down")).isNotNull();
        assertThat(ofPrometheus.remove("Blind")).isNotNull();
        Map<String, String> ours = new HashMap<>();
        for (AlertRules.Rule rule : AlertRules.Rule.values()) {
            ours.put(rule.title(), "%d s, %s".formatted(rule.hold(), rule.level()));
        }
        assertThat(ours).isEqualTo(ofPrometheus);
    }

    @Test
    void eachOfThemIsFound() {
        meters.gauge("countersink.problems", 2);
        meters.gauge("countersink.dead.letters", 3);
        meters.gauge("countersink.ingest.stalled.seconds", 301);
        meters.gauge("countersink.webhook.oldest.age", 601);
        meters.gauge("countersink.nats.connected", 0);
        meters.gauge("hikaricp.connections.pending", 4);
        ViewBoard.Now now = now("""
                {"name":"a.v","state":"active","lag":61,"lag_limit":10,"failures":2,"error":"no table","error_sqlstate":"42P01","quarantined":5,
                 "verified":{"finished_at":"2026-01-01T00:00:00Z","differences":7,"repaired":false}}""");
        List<AlertRules.Alert> found = rules.shared(
                now,
                json(
                        "{\"name\":\"x\",\"state\":\"error\",\"late\":0}",
                        "{\"name\":\"y\",\"state\":\"waiting\",\"late\":100}"),
                json("{\"name\":\"one\",\"silent\":70}"),
                json("{\"state\":\"queued\",\"oldest\":700}"));
        found.addAll(rules.local("one"));
        assertThat(found).extracting(AlertRules.Alert::rule).containsExactlyInAnyOrderElementsOf(AlertRules.titles());
        assertThat(found).allSatisfy(alert -> {
            assertThat(alert.sentence()).isNotBlank();
            assertThat(alert.remedy()).endsWith(".");
        });
    }

    @Test
    void nothingIsWrongWithWhatIsRight() {
        meters.gauge("countersink.problems", Double.NaN);
        meters.gauge("countersink.dead.letters", 0);
        meters.gauge("countersink.webhook.oldest.age", 600);
        meters.gauge("countersink.nats.connected", 1);
        assertThat(rules.shared(
                        now(
                                "{\"name\":\"a.v\",\"lag\":9,\"lag_limit\":10,\"failures\":0,\"quarantined\":0}",
                                "{\"name\":\"a.cron\",\"lag\":9000,\"lag_limit\":null}",
                                "{\"name\":\"a.r\",\"projection\":\"a.v\",\"lag\":90,\"lag_limit\":10,\"verified\":{\"finished_at\":\"%s\",\"differences\":7,\"repaired\":true}}"
                                        .formatted(Instant.now())),
                        json("{\"name\":\"x\",\"state\":\"waiting\",\"late\":0}"),
                        json("{\"name\":\"one\",\"silent\":7}"),
                        json("{\"state\":\"queued\",\"oldest\":0}")))
                .isEmpty();
        assertThat(rules.local("one")).isEmpty();
    }

    private static ViewBoard.Now now(String... views) {
        return new ViewBoard.Now(
                Finding.Level.OK,
                "",
                Instant.now(),
                List.of(),
                json(views).stream().map(ObjectNode.class::cast).toList());
    }

    private static List<JsonNode> json(String... rows) {
        return List.of(rows).stream().map(JsonMapper.shared()::readTree).toList();
    }

    private static Map<String, Object> yaml() {
        YamlMapFactoryBean yaml = new YamlMapFactoryBean();
        yaml.setResources(new FileSystemResource(Path.of("ops", "alerts.yaml")));
        return yaml.getObject();
    }

    private static List<Map<?, ?>> maps(Object list) {
        return ((List<?>) list).stream().<Map<?, ?>>map(Map.class::cast).toList();
    }
}
