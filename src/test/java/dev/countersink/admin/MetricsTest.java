package dev.countersink.admin;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpServer;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.ItemView;
import dev.countersink.testing.TestInstance;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.springframework.beans.factory.config.YamlMapFactoryBean;
import org.springframework.core.io.ByteArrayResource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** What an instance measures, and that the files in ops/ speak of the same. */
class MetricsTest {
    private static final Path OPS = Path.of("ops");
    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final Pattern NAME = Pattern.compile("(?:countersink|hikaricp)_[a-z_]+");

    private static ItemService service;
    private static TestInstance instance;
    private static String metrics;

    @BeforeAll
    static void start() throws Exception {
        service = new ItemService();
        instance = service.instance();
        service.sql().run("INSERT INTO app.item VALUES (1, 10)");
        for (String action : new String[] {"refresh", "verify"}) {
            String run =
                    instance.post("/api/views/" + ItemView.NAME + "/" + action).header("Location");
            Eventually.await(
                    action + " is done",
                    () -> instance.get(run).json().path("state").asString(),
                    "done"::equals);
        }
        // What merges count is there after a merge by the clock.
        instance.patch("/api/views/" + ItemView.NAME + "/schedule", "*", "{\"interval\":\"200ms\"}");
        service.sql().run("INSERT INTO app.item VALUES (2, 10)");
        metrics = Eventually.await(
                "all is measured",
                PATIENCE,
                () -> instance.get("/actuator/prometheus").response().body(),
                text -> text.contains("countersink_view_wrong_rows{")
                        && text.contains("countersink_merge_changed_total{")
                        && !text.contains("countersink_problems NaN"));
    }

    @AfterAll
    static void stop() throws Exception {
        if (service != null) {
            service.close();
        }
    }

    @Test
    void eachMetricOfOursHasHelp() {
        List<String> help = metrics.lines()
                .filter(line -> line.startsWith("# HELP countersink_"))
                .toList();
        assertThat(help)
                .isNotEmpty()
                .allSatisfy(line -> assertThat(List.of(line.split(" ", 4)))
                        .hasSize(4)
                        .last()
                        .asString()
                        .isNotBlank());
    }

    @Test
    void aViewIsMeasured() {
        assertThat(metrics)
                .contains("countersink_view_lag_seconds{view=\"app.item_fact\"}")
                .contains("countersink_view_lag_limit_seconds{view=\"app.item_fact\"}")
                .contains("countersink_view_pending_changes{view=\"app.item_fact\"}")
                .contains("countersink_view_quarantined_keys{view=\"app.item_fact\"} 0")
                .contains("countersink_view_wrong_rows{view=\"app.item_fact\"} 0")
                .contains("countersink_view_state{state=\"active\",view=\"app.item_fact\"} 1")
                .contains("countersink_dead_letters 0")
                .contains("countersink_problems 0");
    }

    @Test
    void theSchedulerTheThreadsThePoolAndNatsAreMeasured() {
        assertThat(metrics)
                .contains("countersink_scheduler_triggers ", "countersink_scheduler_triggers_late 0")
                .contains("countersink_scheduler_triggers_error 0", "countersink_scheduler_checkin_age_seconds{name=")
                .contains("countersink_runs{state=\"queued\"} 0", "countersink_runs{state=\"running\"} 0")
                .contains("countersink_runs_oldest_age_seconds{state=\"queued\"} 0")
                .contains("countersink_runs_finished_total{action=\"verify\",state=\"done\"} 1")
                .contains("countersink_threads{pool=\"merges\"} 4", "countersink_threads{pool=\"runs\"} 3")
                .contains(
                        "countersink_threads_busy{pool=\"merges\"} ", "countersink_threads_busy{pool=\"schedules\"} 0")
                .contains("hikaricp_connections_max{pool=\"countersink\"} 12", "hikaricp_connections_pending{")
                .contains("countersink_nats_connected 1", "countersink_nats_reconnects_total 0");
    }

    @Test
    void alertsAreWellFormedAndOfMetricsThatThereAre() throws Exception {
        Map<String, Object> file = yaml("alerts.yaml");
        assertThat(file.keySet()).containsExactly("groups");
        Set<String> names = new HashSet<>();
        for (Map<String, Object> group : maps(file.get("groups"))) {
            assertThat(group.keySet()).isSubsetOf("name", "interval", "rules");
            for (Map<String, Object> rule : maps(group.get("rules"))) {
                String name = (String) rule.get("alert");
                assertThat(name).matches("Countersink[A-Za-z]+");
                assertThat(names.add(name)).as(name).isTrue();
                assertThat(rule.keySet()).as(name).isSubsetOf("alert", "expr", "for", "labels", "annotations");
                assertThat(rule.getOrDefault("for", "0s").toString()).as(name).matches("\\d+[smh]");
                assertThat(map(rule.get("labels")).get("severity")).as(name).isIn("critical", "warning");
                assertThat(map(rule.get("annotations")).keySet())
                        .as(name)
                        .containsExactlyInAnyOrder("summary", "description");
                assertMeasured(name, (String) rule.get("expr"));
            }
        }
        assertThat(names).hasSizeGreaterThanOrEqualTo(8);
    }

    @Test
    void theDashboardOfGrafanaIsOfMetricsThatThereAre() throws Exception {
        JsonNode dashboard = JsonMapper.shared().readTree(Files.readString(OPS.resolve("grafana.json")));
        Set<Integer> ids = new HashSet<>();
        for (JsonNode panel : dashboard.path("panels")) {
            String title = panel.path("title").asString();
            assertThat(ids.add(panel.path("id").asInt())).as(title).isTrue();
            JsonNode place = panel.path("gridPos");
            assertThat(place.path("x").asInt() + place.path("w").asInt())
                    .as(title)
                    .isLessThanOrEqualTo(24);
            assertThat(panel.path("targets")).as(title).isNotEmpty();
            panel.path("targets")
                    .forEach(target -> assertMeasured(title, target.path("expr").asString()));
        }
        assertThat(ids).hasSizeGreaterThan(8);
    }

    @Test
    void composeNamesOnlyWhatThereIs() throws Exception {
        Map<String, Object> file = yaml("compose.yaml");
        Map<String, Object> services = map(file.get("services"));
        assertThat(services.keySet()).contains("postgres", "nats", "countersink", "prometheus", "grafana");
        assertThat(settings())
                .containsAll(
                        map(map(services.get("countersink")).get("environment")).keySet());
        services.forEach((name, value) -> {
            Map<String, Object> service_ = map(value);
            assertThat(service_.containsKey("image") || service_.containsKey("build"))
                    .as(name)
                    .isTrue();
            Object needs = service_.get("depends_on");
            assertThat(services.keySet())
                    .as(name)
                    .containsAll(
                            needs instanceof List<?> list
                                    ? list.stream().map(String::valueOf).toList()
                                    : needs == null
                                            ? List.<String>of()
                                            : map(needs).keySet());
            for (String volume : strings(service_.get("volumes"))) {
                String source = volume.split(":")[0];
                if (source.startsWith("./")) {
                    assertThat(OPS.resolve(source)).as(volume).exists();
                } else {
                    assertThat(map(file.get("volumes")).keySet()).as(volume).contains(source);
                }
            }
            for (Object config : service_.get("configs") instanceof List<?> list ? list : List.of()) {
                assertThat(map(file.get("configs")).keySet())
                        .contains((String) map(config).get("source"));
            }
        });
        map(file.get("configs")).forEach((name, config) -> {
            String content = (String) map(config).get("content");
            assertThat(parsed(content)).as(name).isNotEmpty();
        });
    }

    private static Set<String> settings() throws IOException {
        return names("`(COUNTERSINK_[A-Z_]+)`", Files.readString(Path.of("docs", "settings.md")));
    }

    private static Set<String> names(String pattern, String text) {
        return Pattern.compile(pattern)
                .matcher(text)
                .results()
                .map(found -> found.group(1))
                .collect(Collectors.toCollection(TreeSet::new));
    }

    @Test
    void theManifestForKubernetesNamesOnlyWhatThereIs() throws Exception {
        String file = Files.readString(OPS.resolve("kubernetes.yaml"));
        Map<String, Map<String, Object>> kinds = new TreeMap<>();
        for (String text : file.split("(?m)^---$")) {
            Map<String, Object> document = parsed(text);
            kinds.put((String) document.get("kind"), document);
        }
        assertThat(kinds).containsOnlyKeys("Deployment", "Service", "PodDisruptionBudget");
        assertThat(settings()).containsAll(names("(COUNTERSINK_[A-Z_]+)", file));
        Map<String, Object> spec = map(kinds.get("Deployment").get("spec"));
        Object labels = map(spec.get("selector")).get("matchLabels");
        assertThat(map(map(spec.get("template")).get("metadata")).get("labels")).isEqualTo(labels);
        assertThat(map(kinds.get("Service").get("spec")).get("selector")).isEqualTo(labels);
        assertThat(map(kinds.get("PodDisruptionBudget").get("spec")).get("selector"))
                .isEqualTo(spec.get("selector"));
        Map<String, Object> pod = map(map(spec.get("template")).get("spec"));
        assertThat((Integer) pod.get("terminationGracePeriodSeconds")).isGreaterThan(10);
        Integer user = (Integer) map(pod.get("securityContext")).get("runAsUser");
        assertThat(Files.readString(OPS.resolve("Dockerfile"))).contains("USER " + user + ":" + user);
        Map<String, Object> container = map(((List<?>) pod.get("containers")).get(0));
        for (String probe : List.of("startupProbe", "livenessProbe", "readinessProbe")) {
            Map<String, Object> asked = map(map(container.get(probe)).get("httpGet"));
            assertThat(asked.get("port")).isEqualTo("http");
            assertThat(instance.getWithToken((String) asked.get("path"), null).status())
                    .as(probe)
                    .isEqualTo(200);
        }
    }

    /** A manifest that names another version than the one that is built would pull an older image. */
    @Test
    void whatNamesAVersionNamesThatOfTheBuild() throws Exception {
        assertThat(description("/api/openapi.json")).isEqualTo(version());
        assertThat(names("countersink:(\\S+)", Files.readString(OPS.resolve("kubernetes.yaml"))))
                .containsExactly(version());
        assertThat(Files.readString(Path.of("CHANGELOG.md"))).contains("\n## " + version() + " ");
    }

    private static String description(String path) throws Exception {
        return instance.getWithToken(path, null)
                .json()
                .path("info")
                .path("version")
                .asString();
    }

    /** Of the project itself, which stands after that of its parent. */
    private static String version() throws IOException {
        String own = Files.readString(Path.of("pom.xml")).split("</parent>", 2)[1];
        return names("<version>([^<]+)</version>", own.split("<properties>", 2)[0])
                .iterator()
                .next();
    }

    @Test
    void theImageRunsAsNobodyInParticularAndIsProbed() throws Exception {
        String file = Files.readString(OPS.resolve("Dockerfile")).replace("\\\n", " ");
        List<String> lines = file.lines()
                .map(String::strip)
                .filter(line -> !line.isEmpty() && !line.startsWith("#"))
                .toList();
        assertThat(lines)
                .allMatch(line -> line.matches(
                        "(FROM|RUN|COPY|USER|WORKDIR|EXPOSE|ENV|HEALTHCHECK|STOPSIGNAL|ENTRYPOINT|CMD) .+"));
        assertThat(lines.get(0)).startsWith("FROM ");
        assertThat(lines).anyMatch(line -> line.matches("USER [1-9]\\d+:\\d+"));
        assertThat(lines)
                .anyMatch(line -> line.startsWith("HEALTHCHECK ") && line.contains("/actuator/health/readiness"));
        lines.stream().filter(line -> line.startsWith("COPY ")).forEach(line -> {
            String source = line.replaceFirst("COPY (--\\S+ )*", "").split(" ")[0];
            assertThat(source.startsWith("target/") || Files.exists(Path.of(source)))
                    .as(source)
                    .isTrue();
        });
        for (String json : Pattern.compile("(?m)(?:ENTRYPOINT|CMD) (\\[.*\\])")
                .matcher(file)
                .results()
                .map(found -> found.group(1))
                .toList()) {
            assertThat(JsonMapper.shared().readTree(json).isArray()).isTrue();
        }
    }

    /** Some of its threads would be gone, and it would neither work nor end. */
    @Test
    void whoeverStartsItHasItEndWhenItsMemoryIsFull() throws Exception {
        for (Path starter :
                List.of(Path.of("countersink"), OPS.resolve("Dockerfile"), OPS.resolve("countersink.service"))) {
            assertThat(Files.readString(starter)).contains("-XX:+ExitOnOutOfMemoryError");
        }
    }

    @Test
    void theProbeOfTheImageAsksWhatListensOnThePortThatIsSet() throws Exception {
        int port = instance.port();
        Eventually.await("it is ready", PATIENCE, () -> probed(port, ""), status -> status == 0);
        assertThat(probed(port, "/certificate.pem")).isZero();
        int closed;
        try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            closed = free.getLocalPort();
        }
        assertThat(probed(closed, "")).isNotZero();
        assertThat(probed(closed, "/certificate.pem")).isNotZero();
        HttpServer unready = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        unready.createContext("/", exchange -> {
            exchange.sendResponseHeaders(503, -1);
            exchange.close();
        });
        unready.start();
        try {
            assertThat(probed(unready.getAddress().getPort(), "")).isNotZero();
        } finally {
            unready.stop(0);
        }
    }

    /** The exit status of the image's HEALTHCHECK. */
    private static int probed(int port, String certificate) throws Exception {
        Matcher command = Pattern.compile("(?m)^HEALTHCHECK .*?CMD (\\[.*])$")
                .matcher(Files.readString(OPS.resolve("Dockerfile")).replace("\\\n", " "));
        assertThat(command.find()).isTrue();
        List<String> words = new ArrayList<>();
        JsonMapper.shared().readTree(command.group(1)).forEach(word -> words.add(word.asString()));
        ProcessBuilder probe = new ProcessBuilder(words);
        probe.environment()
                .putAll(Map.of(
                        "COUNTERSINK_HTTP_PORT", Integer.toString(port), "COUNTERSINK_HTTP_CERTIFICATE", certificate));
        return probe.redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .start()
                .waitFor();
    }

    @Test
    void theUnitOfSystemdHasItsSections() throws Exception {
        Map<String, Map<String, String>> sections = new java.util.LinkedHashMap<>();
        String section = "";
        for (String line : Files.readAllLines(OPS.resolve("countersink.service"))) {
            if (line.startsWith("[")) {
                section = line;
                sections.put(section, new java.util.LinkedHashMap<>());
            } else if (!line.isBlank() && !line.startsWith("#")) {
                String[] parts = line.split("=", 2);
                assertThat(parts).as(line).hasSize(2);
                assertThat(parts[0]).as(line).matches("[A-Z][A-Za-z]+");
                sections.get(section).put(parts[0], parts[1]);
            }
        }
        assertThat(sections.keySet()).containsExactly("[Unit]", "[Service]", "[Install]");
        assertThat(sections.get("[Service]"))
                .containsEntry("DynamicUser", "yes")
                .containsEntry("TimeoutStopSec", "15")
                .containsKey("ExecStart");
    }

    private static void assertMeasured(String where, String expression) {
        assertThat(expression).as(where).isNotBlank();
        assertThat(expression.chars().filter(c -> c == '(').count())
                .as(where)
                .isEqualTo(expression.chars().filter(c -> c == ')').count());
        Set<String> measured =
                NAME.matcher(metrics).results().map(found -> found.group()).collect(Collectors.toSet());
        NAME.matcher(expression)
                .results()
                .map(found -> found.group())
                .forEach(name -> assertThat(measured).as(where).contains(name));
    }

    private static Map<String, Object> yaml(String name) throws Exception {
        return parsed(Files.readString(OPS.resolve(name)));
    }

    private static Map<String, Object> parsed(String text) {
        YamlMapFactoryBean yaml = new YamlMapFactoryBean();
        yaml.setResources(new ByteArrayResource(text.getBytes(StandardCharsets.UTF_8)));
        return yaml.getObject();
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> map(Object value) {
        return (Map<String, Object>) value;
    }

    @SuppressWarnings("unchecked")
    private static List<Map<String, Object>> maps(Object value) {
        return (List<Map<String, Object>>) value;
    }

    private static List<String> strings(Object value) {
        return value instanceof List<?> list
                ? list.stream().map(String::valueOf).toList()
                : List.of();
    }
}
