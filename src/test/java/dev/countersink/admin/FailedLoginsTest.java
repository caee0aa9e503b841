package dev.countersink.admin;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.testing.TestInstance;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import jakarta.servlet.http.HttpServletRequest;
import java.lang.reflect.Proxy;
import java.time.Duration;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

/** What happens to who sends wrong tokens, or too many requests with a valid one. */
class FailedLoginsTest {
    private final AtomicLong clock = new AtomicLong();
    private final SimpleMeterRegistry metrics = new SimpleMeterRegistry();

    @Test
    void anAddressWaitsAfterTooManyWrongTokensAndNotForEver() {
        FailedLogins failures = new FailedLogins(3, clock::get, metrics);
        for (int i = 0; i < 3; i++) {
            assertThat(failures.failed("192.0.2.1")).isZero();
        }
        clock.addAndGet(Duration.ofSeconds(20).toNanos());
        assertThat(failures.failed("192.0.2.1")).isEqualTo(40);
        assertThat(failures.failed("192.0.2.2")).isZero();
        clock.addAndGet(Duration.ofSeconds(40).toNanos());
        assertThat(failures.failed("192.0.2.1")).isZero();
        assertThat(metrics.counter("countersink.logins.failed").count()).isEqualTo(6);
    }

    @Test
    void anAddressOfIpv6WaitsWithItsWholeNetwork() {
        FailedLogins failures = new FailedLogins(1, clock::get, metrics);
        assertThat(failures.failed("2001:db8:0:1::1")).isZero();
        assertThat(failures.failed("2001:DB8:0:1:ffff::2")).isEqualTo(60);
        assertThat(failures.failed("2001:db8:0:2::1")).isZero();
        assertThat(failures.failed("192.0.2.1")).isZero();
        assertThat(failures.failed("::ffff:192.0.2.1")).isEqualTo(60);
        assertThat(failures.failed("::ffff:192.0.2.2")).isZero();
        assertThat(failures.failed("no:address")).isZero();
        assertThat(failures.failed("no:address")).isEqualTo(60);
    }

    @Test
    void aTokenMaySendSoMuchASecond() {
        RateLimit rate = new RateLimit(5, clock::get);
        Caller one = new Caller("one", Role.READER);
        for (int i = 0; i < 10; i++) {
            assertThat(rate.admits(one)).isTrue();
        }
        assertThat(rate.admits(one)).isFalse();
        assertThat(rate.admits(new Caller("two", Role.READER))).isTrue();
        clock.addAndGet(Duration.ofMillis(200).toNanos());
        assertThat(rate.admits(one)).isTrue();
        assertThat(rate.admits(one)).isFalse();
    }

    @Test
    void aLockedAddressIsToldSoAndAValidTokenStillWorksFromIt() throws Exception {
        try (ItemService service = new ItemService(Map.of("countersink.api.failures", 2, "countersink.api.rate", 20))) {
            TestInstance instance = service.instance();
            assertThat(instance.getWithToken("/api/views", "wrong-one").status())
                    .isEqualTo(401);
            assertThat(instance.getWithToken("/", "wrong-two").status()).isEqualTo(200);
            for (int i = 0; i < 5; i++) { // of a proxy before it
                assertThat(instance.getWith("/", "Authorization", "Basic eDp5").status())
                        .isEqualTo(200);
            }
            TestInstance.Answer locked = instance.getWithToken("/api/views", "wrong-three");
            assertThat(locked.status()).isEqualTo(429);
            assertThat(locked.header("Retry-After")).matches("[1-5]?[0-9]|60");
            assertThat(locked.header("Content-Type")).startsWith("application/problem+json");
            assertThat(locked.response().body()).doesNotContain("wrong-three");
            assertThat(instance.getWithToken("/api/views", null).status()).isEqualTo(401);
            assertThat(instance.get("/api/views").status()).isEqualTo(200);
            assertThat(instance.get("/actuator/prometheus").response().body())
                    .contains("countersink_logins_failed_total 3");
            int answered = 0;
            TestInstance.Answer last = instance.get("/api/session");
            for (; answered < 1000 && last.status() == 200; answered++) {
                last = instance.get("/api/session");
            }
            assertThat(last.status()).as("after " + answered).isEqualTo(429);
            assertThat(last.header("Retry-After")).isEqualTo("1");
        }
    }

    @Test
    void onlyATrustedProxySaysWhoIsBehindIt() {
        HttpServletRequest request = request("198.51.100.7, 203.0.113.9");
        assertThat(new ClientAddress(false).of(request)).isEqualTo("192.0.2.1");
        assertThat(new ClientAddress(true).of(request)).isEqualTo("203.0.113.9");
        assertThat(new ClientAddress(true).of(request("x y"))).isEqualTo("192.0.2.1");
        assertThat(new ClientAddress(true).of(request())).isEqualTo("192.0.2.1");
    }

    /** HAProxy adds a header of its own after the client's. */
    @Test
    void theLastOfSeveralHeadersIsTheProxys() {
        assertThat(new ClientAddress(true).of(request("198.51.100.7", "203.0.113.9")))
                .isEqualTo("203.0.113.9");
    }

    private static HttpServletRequest request(String... forwarded) {
        return (HttpServletRequest) Proxy.newProxyInstance(
                FailedLoginsTest.class.getClassLoader(),
                new Class<?>[] {HttpServletRequest.class},
                (proxy, method, arguments) -> method.getName().equals("getHeaders")
                        ? Collections.enumeration(List.of(forwarded))
                        : "192.0.2.1");
    }
}
