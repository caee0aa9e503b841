package dev.countersink.admin;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.testing.Eventually;
import dev.countersink.testing.ItemView;
import dev.countersink.testing.TestInstance;
import java.time.Instant;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Who may do what with the cookie of the dashboard. */
class SessionTest {
    private static ItemService service;
    private static TestInstance instance;

    @BeforeAll
    static void start() throws Exception {
        service = new ItemService();
        instance = service.instance();
    }

    @AfterAll
    static void stop() throws Exception {
        if (service != null) {
            service.close();
        }
    }

    @Test
    void theTokenIsExchangedForACookieThatScriptsAndOtherSitesCannotUse() {
        String set = instance.post("/api/session").header("Set-Cookie");
        assertThat(set)
                .startsWith(SessionCookie.NAME + "=")
                .contains("HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200")
                .doesNotContain(TestInstance.token())
                .doesNotContain("Secure");
        assertThat(instance.post(
                                "/api/session",
                                new byte[0],
                                "Authorization",
                                "Bearer " + TestInstance.token(),
                                "X-Forwarded-Proto",
                                "https")
                        .header("Set-Cookie"))
                .contains("Secure");
        for (String token : new String[] {"", "another-token-for-tests"}) {
            TestInstance.Answer refused =
                    instance.post("/api/session", new byte[0], "Authorization", "Bearer " + token);
            assertThat(refused.status()).isEqualTo(401);
            assertThat(refused.header("Set-Cookie")).isEmpty();
        }
    }

    @Test
    void signingInAndOutAndWhatIsRefusedAreInTheAuditLog() {
        String cookie = cookie();
        assertThat(instance.post("/api/session", new byte[0], "Authorization", "Bearer a-wrong-token-for-tests")
                        .status())
                .isEqualTo(401);
        assertThat(instance.send("DELETE", "/api/session", null, null, "Cookie", cookie, Access.MARK, "dashboard")
                        .status())
                .isEqualTo(200);
        for (String noted : new String[] {
            "COUNTERSINK_API_TOKEN owner POST 200", "- - POST 401", "COUNTERSINK_API_TOKEN owner DELETE 200"
        }) {
            Eventually.await(noted, () -> acts(noted), n -> n > 0);
        }
        assertThat(service.sql().number("SELECT count(*) FROM control.audit a WHERE a::text LIKE '%wrong-token%'"))
                .isZero();
    }

    @Test
    void oneSignsInWhileTheAuditLogCannotBeWrittenAndItIsNotedLater() {
        String noted = "COUNTERSINK_API_TOKEN owner POST 200";
        cookie();
        Eventually.await(noted, () -> acts(noted), n -> n > 0);
        service.sql().run("BEGIN; LOCK TABLE control.audit IN ACCESS EXCLUSIVE MODE");
        long before = acts(noted);
        try {
            cookie();
        } finally {
            service.sql().run("COMMIT");
        }
        Eventually.await(noted, () -> acts(noted), n -> n > before);
    }

    private static long acts(String noted) {
        return service.sql()
                .number("SELECT count(*) FROM control.audit WHERE path = '/api/session' AND address = '127.0.0.1'"
                        + " AND concat_ws(' ', who, role, method, status) = '" + noted + "'");
    }

    @Test
    void aCookieReadsAndWithTheHeaderOfThePageActs() {
        String cookie = cookie();
        assertThat(instance.getWith("/api/views", "Cookie", cookie).status()).isEqualTo(200);
        assertThat(instance.getWith("/api/session", "Cookie", cookie)
                        .json()
                        .path("signed_in")
                        .asBoolean())
                .isTrue();
        String refresh = "/api/views/" + ItemView.NAME + "/refresh";
        assertThat(instance.post(refresh, new byte[0], "Cookie", cookie).status())
                .isEqualTo(401);
        assertThat(instance.post(refresh, new byte[0], "Cookie", cookie, Access.MARK, "dashboard")
                        .status())
                .isEqualTo(202);
        assertThat(instance.post("/api/session", new byte[0], "Cookie", cookie, Access.MARK, "dashboard")
                        .status())
                .isEqualTo(403);
    }

    @Test
    void theCookieIsSecureIfTheBrowserSpeaksTlsWithTheFirstProxy() {
        for (String proto : new String[] {"https", "HTTPS", "https, http", "https,http"}) {
            assertThat(signedIn(proto)).as(proto).contains("; Secure");
        }
        for (String proto : new String[] {"http", "http, https", "", "x"}) {
            assertThat(signedIn(proto)).as(proto).doesNotContain("Secure");
        }
    }

    private static String signedIn(String proto) {
        return instance.send("POST", "/api/session", TestInstance.token(), null, "X-Forwarded-Proto", proto)
                .header("Set-Cookie");
    }

    @Test
    void nobodyIsSignedInWithoutAValidCookie() {
        String cookie = cookie();
        String forged = cookie.substring(0, cookie.length() - 1) + (cookie.endsWith("0") ? "1" : "0");
        String longer = cookie.replaceFirst("=(\\d)", "=9$1");
        for (String wrong : new String[] {"", SessionCookie.NAME + "=", "x=1; ;;=", forged, longer}) {
            assertThat(instance.getWith("/api/views", "Cookie", wrong).status())
                    .as(wrong)
                    .isEqualTo(401);
            assertThat(instance.getWith("/api/session", "Cookie", wrong)
                            .json()
                            .path("signed_in")
                            .asBoolean(true))
                    .isFalse();
        }
    }

    @Test
    void aCookieEndsAndIsOfItsToken() {
        Instant begin = Instant.parse("2026-01-01T00:00:00Z");
        ApiToken token = new ApiToken("a-token-for-the-tests", true);
        byte[] hash = ApiToken.hash("of-a-named-token");
        String value = new SessionCookie(token, () -> begin)
                .issue("ops.night-2", hash, new SessionCookie.Place("", false))
                .getValue();
        assertThat(SessionCookie.tokenOf(value)).contains("ops.night-2");
        assertThat(new SessionCookie(token, () -> begin).isValid(value, ApiToken.hash("of-another-of-this-name")))
                .isFalse();
        assertThat(new SessionCookie(token, () -> begin).isValid(value.replace("ops.", "own."), hash))
                .isFalse();
        assertThat(new SessionCookie(
                                token, () -> begin.plus(SessionCookie.VALID).minusSeconds(1))
                        .isValid(value, hash))
                .isTrue();
        assertThat(new SessionCookie(token, () -> begin.plus(SessionCookie.VALID)).isValid(value, hash))
                .isFalse();
        assertThat(new SessionCookie(new ApiToken("another-token-for-tests", true), () -> begin).isValid(value, hash))
                .isFalse();
    }

    @Test
    void thePageIsGivenToAnybodyButHasNoData() throws Exception {
        TestInstance.Answer page = instance.getWithToken("/", null);
        assertThat(page.status()).isEqualTo(200);
        assertThat(page.header("Content-Type")).isEqualTo("text/html;charset=UTF-8");
        assertThat(page.header("Content-Security-Policy")).contains("default-src 'none'", "script-src 'self'");
        assertThat(page.response().body())
                .doesNotContain("item_fact")
                .doesNotContain("<script>")
                .doesNotContain("style=");
        long bytes = 0;
        for (String name : new String[] {
            "main.js",
            "api.js",
            "dom.js",
            "text.js",
            "now.js",
            "view.js",
            "ingestion.js",
            "runs.js",
            "app.css",
            "try.html",
            "try.js",
            "icon.svg",
            "uPlot.iife.min.js",
            "uPlot.min.css"
        }) {
            TestInstance.Answer file = instance.getWithToken("/ui/" + name, null);
            assertThat(file.status()).as(name).isEqualTo(200);
            assertThat(file.header("ETag")).as(name).startsWith("\"");
            bytes += file.response().body().length();
        }
        assertThat(bytes + page.response().body().length()).isLessThan(150_000);
        assertThat(instance.getWithToken("/ui/nothing.js", null).status()).isEqualTo(404);
        assertThat(instance.getWithToken("/ui/..%2Fapplication.yaml", null).status())
                .isEqualTo(404);
    }

    private static String cookie() {
        return instance.post("/api/session").header("Set-Cookie").split(";", 2)[0];
    }
}
