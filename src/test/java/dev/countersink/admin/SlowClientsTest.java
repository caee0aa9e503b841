package dev.countersink.admin;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.testing.Eventually;
import dev.countersink.testing.ItemView;
import dev.countersink.testing.RawHttp;
import dev.countersink.testing.TestInstance;
import java.io.IOException;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Clients by the hundred that send a byte now and then keep nobody from being answered, least of all the probes. */
class SlowClientsTest {
    private static final int CLIENTS = 250;
    private static final int PROBES = 20;
    private static final String TOKEN = "Authorization: Bearer " + TestInstance.token() + "\r\n";
    private static final String BODY = "Host: x\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n";

    private static ItemService service;
    private static TestInstance instance;

    private final List<Socket> sockets = new ArrayList<>();
    private ScheduledExecutorService drip;

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

    @BeforeEach
    void begin() {
        drip = Executors.newSingleThreadScheduledExecutor();
    }

    @AfterEach
    void end() throws Exception {
        drip.shutdownNow();
        assertThat(drip.awaitTermination(1, TimeUnit.MINUTES)).isTrue();
        for (Socket socket : sockets) {
            socket.close();
        }
    }

    @Test
    void bodiesWithoutATokenAreNotWaitedFor() throws Exception {
        open("POST /api/views/" + ItemView.NAME + "/refresh HTTP/1.1\r\n" + BODY + "\r\n{", CLIENTS);
        open("POST /api/v2/jobs/1/result/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[", CLIENTS);
        assertProbesAnswer();
        for (Socket socket : sockets) {
            assertThat(RawHttp.read(socket.getInputStream()).status()).isEqualTo(401);
        }
    }

    @Test
    void bodiesOfProbesAreNotWaitedFor() throws Exception {
        open("GET /actuator/health/liveness HTTP/1.1\r\n" + BODY + "\r\n{", CLIENTS);
        open("POST /actuator/health/liveness HTTP/1.1\r\n" + BODY + "\r\n{", CLIENTS);
        assertProbesAnswer();
    }

    @Test
    void aHeadThatTakesTooLongEndsItsConnection() throws Exception {
        open("GET /api/views HTTP/1.1\r\nX-Slow: ", CLIENTS);
        open("GET /api/vi", CLIENTS);
        assertProbesAnswer();
        for (Socket socket : List.of(sockets.get(0), sockets.get(sockets.size() - 1))) {
            Eventually.await("the connection is closed", () -> isClosed(socket), closed -> closed);
        }
    }

    @Test
    void slowBodiesWithATokenLeaveThreadsForTheProbes() throws Exception {
        open(
                "PATCH /api/views/" + ItemView.NAME + "/schedule HTTP/1.1\r\nIf-Match: *\r\n" + TOKEN + BODY + "\r\n{",
                CLIENTS);
        assertProbesAnswer();
        RawHttp.Reply refused = RawHttp.send(
                instance.port(), "GET /api/views HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + TOKEN + "\r\n");
        assertThat(refused.status()).as(refused.toString()).isEqualTo(429);
        assertThat(refused.header("Retry-After")).isEqualTo("1");
        assertThat(refused.header("Content-Type")).startsWith("application/problem+json");
    }

    @Test
    void aWrongTokenIsToldToWhoSendsALargeBody() throws IOException {
        byte[] head = ("POST /api/v2/jobs/1/result/ HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n")
                .getBytes(StandardCharsets.US_ASCII);
        byte[] request = Arrays.copyOf(head, head.length + 60_000);
        assertThat(RawHttp.send(instance.port(), request).status()).isEqualTo(401);
    }

    @Test
    void manyRefreshesAtOnceAreAcceptedOrPutOff() throws Exception {
        ExecutorService callers = Executors.newFixedThreadPool(500);
        try {
            Callable<RawHttp.Reply> refresh = () -> RawHttp.send(
                    instance.port(),
                    "POST /api/views/" + ItemView.NAME + "/refresh HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + TOKEN
                            + "\r\n");
            int accepted = 0;
            for (Future<RawHttp.Reply> future : callers.invokeAll(java.util.Collections.nCopies(500, refresh))) {
                RawHttp.Reply reply = future.get();
                assertThat(reply.status()).as(reply.toString()).isIn(202, 429, 503);
                if (reply.status() == 202) {
                    accepted++;
                } else {
                    assertThat(reply.header("Retry-After")).as(reply.toString()).isNotEmpty();
                    assertThat(reply.header("Content-Type")).startsWith("application/problem+json");
                }
            }
            assertThat(accepted).isPositive();
        } finally {
            callers.shutdownNow();
        }
    }

    private void open(String beginning, int count) throws IOException {
        List<Socket> opened = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            Socket socket = RawHttp.connect(instance.port());
            opened.add(socket);
            socket.getOutputStream().write(beginning.getBytes(StandardCharsets.US_ASCII));
        }
        sockets.addAll(opened);
        drip.scheduleAtFixedRate(() -> opened.forEach(SlowClientsTest::drip), 1, 1, TimeUnit.SECONDS);
    }

    private static void drip(Socket socket) {
        try {
            socket.getOutputStream().write(' ');
        } catch (IOException e) {
            // The server has closed it.
        }
    }

    private static boolean isClosed(Socket socket) throws IOException {
        socket.setSoTimeout(100);
        try {
            return socket.getInputStream().read() < 0;
        } catch (java.net.SocketTimeoutException e) {
            return false;
        } catch (java.net.SocketException e) {
            return true;
        }
    }

    /** For five seconds; a machine that is busy with other tests may take longer for one of them. */
    private static void assertProbesAnswer() throws Exception {
        List<Duration> times = new ArrayList<>();
        for (int i = 0; i < PROBES; i++) {
            for (String probe : List.of("liveness", "readiness")) {
                long begun = System.nanoTime();
                RawHttp.Reply reply = RawHttp.send(
                        instance.port(),
                        "GET /actuator/health/" + probe + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
                times.add(Duration.ofNanos(System.nanoTime() - begun));
                assertThat(reply.status()).as(reply.toString()).isEqualTo(200);
            }
            TimeUnit.MILLISECONDS.sleep(250);
        }
        times.sort(null);
        assertThat(times.get(times.size() / 2)).as(times.toString()).isLessThan(Duration.ofSeconds(1));
        assertThat(times.get(times.size() - 1)).as(times.toString()).isLessThan(Duration.ofSeconds(8));
    }
}
