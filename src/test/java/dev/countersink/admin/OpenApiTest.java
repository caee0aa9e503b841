package dev.countersink.admin;

import static org.assertj.core.api.Assertions.assertThat;

import com.networknt.schema.InputFormat;
import com.networknt.schema.Schema;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.ItemView;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestInstance;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** The description of the API holds what there is, and nothing else; and answers are as it says. */
class OpenApiTest {
    private static final String VIEW = "/api/views/" + ItemView.NAME;
    private static final Map<String, String> BODIES = Map.of(
            "/api/views/{name}/schedule", "{\"priority\":1}",
            "/api/refresh", "{\"views\":[\"%s\"]}".formatted(ItemView.NAME),
            "/api/v2/jobs/{id}/result/", "[{}]",
            "/api/tokens", "{\"name\":\"described\",\"role\":\"reader\"}");

    private static ItemService service;
    private static TestInstance instance;
    private static JsonNode description;

    @BeforeAll
    static void start() throws Exception {
        service = new ItemService();
        instance = service.instance();
        description = instance.getWithToken("/api/openapi.json", null).json();
        Sql sql = service.sql();
        sql.run("INSERT INTO app.item VALUES (1, 10), (2, 0)");
        sql.run("INSERT INTO results.project (id, name) VALUES (1, 'one')");
        sql.run("INSERT INTO results.job (id, project_id, name) VALUES (1, 1, 'first')");
        sql.run("SELECT results.record_dead_letters('{\"\"}', '{7}', '{results.1}', '{\"{}\"}', ARRAY['x'::bytea],"
                + " '{broken}', '{RS010}')");
        for (String action : new String[] {"verify", "refresh"}) {
            String run = instance.post(VIEW + "/" + action).header("Location");
            Eventually.await(
                    action, () -> instance.get(run).json().path("finished_at").isString(), over -> over);
        }
    }

    @AfterAll
    static void stop() throws Exception {
        if (service != null) {
            service.close();
        }
    }

    @Test
    void everyEndpointIsInItAndNoOther() {
        Set<String> described = new TreeSet<>();
        description
                .path("paths")
                .properties()
                .forEach(path -> path.getValue()
                        .propertyNames()
                        .forEach(method -> described.add(method.toUpperCase(Locale.ROOT) + " " + path.getKey())));
        assertThat(described)
                .containsExactlyInAnyOrderElementsOf(Mappings.of(instance.context()).stream()
                        .filter(endpoint -> endpoint.contains(" /api/"))
                        .map(OpenApiTest::plain)
                        .collect(Collectors.toSet()));
    }

    @Test
    void everyReferenceLeadsSomewhereAndEveryParameterOfAPathIsDescribed() {
        description
                .findValues("$ref")
                .forEach(reference -> assertThat(found(reference).isMissingNode())
                        .as(reference.asString())
                        .isFalse());
        description
                .path("paths")
                .properties()
                .forEach(path -> path.getValue().forEach(operation -> {
                    Set<String> inPath = new TreeSet<>();
                    operation.path("parameters").forEach(parameter -> {
                        JsonNode real = parameter.has("$ref") ? found(parameter.path("$ref")) : parameter;
                        if (real.path("in").asString().equals("path")) {
                            inPath.add("{" + real.path("name").asString() + "}");
                        }
                    });
                    assertThat(inPath)
                            .as(path.getKey())
                            .containsExactlyInAnyOrderElementsOf(
                                    Stream.of(path.getKey().split("/"))
                                            .filter(part -> part.startsWith("{"))
                                            .toList());
                }));
    }

    @Test
    void theRolesAreThoseThatAreChecked() {
        RolesTest.NEEDED.forEach((endpoint, role) -> {
            String[] parts = plain(endpoint).split(" ", 2);
            assertThat(operation(parts[0], parts[1]).path("x-role").asString())
                    .as(endpoint)
                    .isEqualTo(role.toString());
        });
    }

    static Stream<String> answers() {
        return Stream.of(
                "GET /api/now /api/now",
                "GET /api/now/lags /api/now/lags",
                "GET /api/now/merge-times /api/now/merge-times",
                "GET /api/now/at /api/now/at?time=2026-01-01T00:00:00Z",
                "GET /api/activity /api/activity",
                "GET /api/alerts /api/alerts",
                "GET /api/views/{name}/trust " + VIEW + "/trust",
                "GET /api/views/{name}/row/sources " + VIEW + "/row/sources?cell=%7B%22id%22%3A1%7D",
                "GET /api/views/{name}/row/changed " + VIEW + "/row/changed?cell=%7B%22id%22%3A1%7D",
                "GET /api/health /api/health",
                "GET /api/views /api/views",
                "GET /api/views/{name} " + VIEW,
                "GET /api/views/{name}/details " + VIEW + "/details",
                "GET /api/views/{name}/explain " + VIEW + "/explain",
                "GET /api/views/{name}/quarantine " + VIEW + "/quarantine",
                "GET /api/views/{name}/history " + VIEW + "/history",
                "GET /api/views/{name}/row " + VIEW + "/row?cell=%7B%22id%22%3A1%7D",
                "PATCH /api/views/{name}/schedule " + VIEW + "/schedule",
                "POST /api/views/{name}/{action} " + VIEW + "/refresh",
                "POST /api/views/{name}/rebuild " + VIEW + "/rebuild",
                "POST /api/refresh /api/refresh",
                "GET /api/runs /api/runs",
                "GET /api/runs/{id} /api/runs/1",
                "GET /api/transactions /api/transactions",
                "GET /api/ingest /api/ingest",
                "GET /api/jobs /api/jobs",
                "GET /api/jobs/{id} /api/jobs/1",
                "GET /api/dead-letters /api/dead-letters",
                "GET /api/dead-letters/reasons /api/dead-letters/reasons",
                "POST /api/dead-letters/replay /api/dead-letters/replay",
                "POST /api/dead-letters/{id}/replay /api/dead-letters/1/replay",
                "POST /api/tokens /api/tokens",
                "GET /api/tokens /api/tokens",
                "GET /api/audit /api/audit",
                "GET /api/session /api/session",
                "POST /api/session /api/session",
                "GET /api/openapi.json /api/openapi.json");
    }

    @ParameterizedTest
    @MethodSource("answers")
    void anAnswerIsAsDescribed(String call) {
        String[] parts = call.split(" ", 3);
        TestInstance.Answer answer = instance.send(
                parts[0],
                parts[2],
                TestInstance.token(),
                parts[0].equals("GET") ? null : BODIES.get(parts[1]),
                "If-Match",
                "*");
        JsonNode described = operation(parts[0], parts[1]).path("responses").path(String.valueOf(answer.status()));
        assertThat(described.isMissingNode())
                .as("%d: %s", answer.status(), answer.response().body())
                .isFalse();
        described
                .path("headers")
                .propertyNames()
                .forEach(header -> assertThat(answer.header(header)).as(header).isNotEmpty());
        assertValid(
                described.at("/content/application~1json/schema"),
                answer.response().body());
    }

    @Test
    void aProblemIsAsDescribed() {
        JsonNode schema = description.at("/components/responses/Problem/content/application~1problem+json/schema");
        for (String path :
                new String[] {"/api/views/app.gone", "/api/runs/999999", "/api/nothing", "/api/runs?limit=0"}) {
            assertValid(schema, instance.get(path).response().body());
        }
        assertValid(schema, instance.getWithToken("/api/views", null).response().body());
        // It can fail.
        assertThat(errors(schema, "{\"status\":\"x\"}")).isNotEmpty();
        assertThat(errors(description.at("/components/schemas/Run"), "{\"id\":1}"))
                .isNotEmpty();
    }

    private static String plain(String endpoint) {
        return endpoint.replaceAll("\\{(\\w+):[^}]*}", "{$1}");
    }

    private static JsonNode found(JsonNode reference) {
        return description.at(reference.asString().substring(1));
    }

    private static JsonNode operation(String method, String path) {
        JsonNode found = description.path("paths").path(path).path(method.toLowerCase(Locale.ROOT));
        assertThat(found.isMissingNode()).as(method + " " + path).isFalse();
        return found;
    }

    private static void assertValid(JsonNode schema, String json) {
        assertThat(schema.isMissingNode()).isFalse();
        assertThat(errors(schema, json)).as(json).isEmpty();
    }

    /** The schema is checked with the parts that it refers to. */
    private static Set<String> errors(JsonNode schema, String json) {
        ObjectNode whole = (ObjectNode) schema.deepCopy();
        whole.set("components", description.path("components"));
        Schema checked = SchemaRegistry.withDefaultDialect(SpecificationVersion.DRAFT_2020_12)
                .getSchema(whole.toString(), InputFormat.JSON);
        return checked
                .validate(
                        json,
                        InputFormat.JSON,
                        context -> context.executionConfig(config -> config.formatAssertionsEnabled(true)))
                .stream()
                .map(String::valueOf)
                .collect(Collectors.toSet());
    }
}
