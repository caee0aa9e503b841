package dev.countersink.admin;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.testing.TestInstance;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Every endpoint that there is, called by nobody, with a wrong token, and by each role. */
class RolesTest {
    private static final Set<String> OPEN = Set.of(
            "GET /",
            "GET /ui/{name}",
            "GET /api/session",
            "GET /api/openapi.json",
            "GET /actuator/health",
            "GET /actuator/health/**");

    /** What needs more than to read. */
    static final Map<String, Role> NEEDED = Map.ofEntries(
            Map.entry("POST /api/session", Role.READER),
            Map.entry("DELETE /api/session", Role.READER),
            Map.entry("POST /api/views/{name}/{action:refresh|verify|repair|pause|resume}", Role.OPERATOR),
            Map.entry("POST /api/refresh", Role.OPERATOR),
            Map.entry("POST /api/views/{name}/rebuild", Role.OWNER),
            Map.entry("PATCH /api/views/{name}/schedule", Role.OPERATOR),
            Map.entry("DELETE /api/runs/{id}", Role.OPERATOR),
            Map.entry("DELETE /api/transactions/{pid}", Role.OPERATOR),
            Map.entry("DELETE /api/dead-letters/{id}", Role.OPERATOR),
            Map.entry("POST /api/dead-letters/replay", Role.OPERATOR),
            Map.entry("POST /api/dead-letters/{id}/replay", Role.OPERATOR),
            Map.entry("POST /api/v2/jobs/{id}/result", Role.OPERATOR),
            Map.entry("POST /api/v2/jobs/{id}/result/", Role.OPERATOR),
            Map.entry("GET /api/tokens", Role.OWNER),
            Map.entry("POST /api/tokens", Role.OWNER),
            Map.entry("DELETE /api/tokens/{name}", Role.OWNER));

    private static final Map<Role, String> TOKENS = new EnumMap<>(Role.class);
    private static ItemService service;
    private static TestInstance instance;

    @BeforeAll
    static void start() throws Exception {
        service = new ItemService(Map.of("countersink.api.failures", 0));
        instance = service.instance();
        for (Role role : Role.values()) {
            TOKENS.put(
                    role,
                    instance.send(
                                    "POST",
                                    "/api/tokens",
                                    TestInstance.token(),
                                    "{\"name\":\"a-%s\",\"role\":\"%s\"}".formatted(role, role))
                            .json()
                            .path("token")
                            .asString());
        }
    }

    @AfterAll
    static void stop() throws Exception {
        if (service != null) {
            service.close();
        }
    }

    static Stream<String> endpoints() {
        // The answer of /api/events does not end: see EventsTest.
        return Mappings.of(instance.context()).stream().filter(endpoint -> !endpoint.equals("GET /api/events"));
    }

    @ParameterizedTest
    @MethodSource("endpoints")
    void anEndpointIsForWhoMayCallIt(String endpoint) {
        String[] parts = endpoint.split(" ", 2);
        String path = Mappings.example(parts[1]);
        boolean open = OPEN.contains(endpoint);
        for (String wrong : new String[] {null, "", "another-token-for-tests"}) {
            TestInstance.Answer answer = instance.send(parts[0], path, wrong, null);
            assertThat(answer.status() == 401).as("with " + wrong).isEqualTo(!open);
            if (!open) {
                assertThat(answer.header("Content-Type")).startsWith("application/problem+json");
            }
        }
        for (Role role : Role.values()) {
            TestInstance.Answer answer = instance.send(parts[0], path, TOKENS.get(role), null);
            Role needed = NEEDED.getOrDefault(endpoint, Role.READER);
            if (role.includes(needed)) {
                assertThat(answer.status()).as("as " + role).isNotIn(401, 403, 500);
            } else {
                assertThat(answer.status()).as("as " + role).isEqualTo(403);
                assertThat(answer.json().path("code").asString()).isEqualTo("42501");
                assertThat(answer.json().path("detail").asString())
                        .isEqualTo(
                                "This needs a token with the role %s, and a-%s has the role %s.", needed, role, role);
            }
            assertThat(answer.header("X-Content-Type-Options")).isEqualTo("nosniff");
            assertThat(answer.header("Content-Security-Policy")).contains("frame-ancestors 'none'");
            assertThat(answer.header("Referrer-Policy")).isEqualTo("no-referrer");
            assertThat(answer.header("Cache-Control")).matches(".*(no-store|no-cache).*");
        }
    }

    @Test
    void whatReadsNeedsTheLeastAndEverythingElseIsNamedHere() {
        Map<String, Role> others = new TreeMap<>(NEEDED);
        Set<String> unnamed = new TreeSet<>();
        for (String endpoint : Mappings.of(instance.context())) {
            boolean named = others.remove(endpoint) != null;
            if (!named && !endpoint.startsWith("GET ")) {
                unnamed.add(endpoint);
            }
        }
        assertThat(unnamed).isEmpty();
        assertThat(others).isEmpty();
        assertThat(List.copyOf(OPEN)).allMatch(Mappings.of(instance.context())::contains);
    }
}
