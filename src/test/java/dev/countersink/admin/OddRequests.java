package dev.countersink.admin;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Random;

/** Requests made at random of what clients, proxies and attackers send. */
final class OddRequests {
    private static final List<String> METHODS = List.of(
            "GET",
            "GET",
            "GET",
            "POST",
            "POST",
            "PUT",
            "PATCH",
            "PATCH",
            "DELETE",
            "HEAD",
            "OPTIONS",
            "TRACE",
            "FOO",
            "get",
            "PROPFIND",
            "G@T",
            "CONNECT");
    private static final List<String> ODD = List.of(
            "%zz",
            "%",
            "%0",
            "%00",
            "%2F",
            "%25",
            "%5C",
            ";",
            ";x=1",
            "//",
            "/../",
            "/./",
            "%2e%2e",
            "\\",
            "%22",
            "%3B",
            "\"",
            "<",
            "{}",
            "|",
            "é",
            "\u00ff",
            "%ff",
            "%C3%A9",
            "%0d%0a",
            "%20",
            "+",
            "'",
            "--",
            "\t",
            "#",
            "?",
            "&",
            "=",
            "*",
            "$",
            "%E2%82%AC",
            "%F0%9F%A6%8B",
            "%ED%A0%80",
            "a".repeat(300),
            "a".repeat(9000),
            ".",
            "..",
            "-1",
            "0",
            "1e9",
            "99999999999999999999",
            "NaN",
            "null",
            "true");
    private static final List<String> PARAMETERS = List.of(
            "after", "limit", "fields", "sample", "view", "state", "since", "cell", "until", "who", "x", "", "limit[]",
            "name");
    private static final List<String> HEADERS = List.of(
            "Accept: text/html",
            "Accept: application/xml",
            "Accept: nonsense",
            "Accept-Encoding: gzip",
            "Content-Type: application/json",
            "Content-Type: application/x-www-form-urlencoded",
            "Content-Type: text/plain",
            "Content-Type: multipart/form-data",
            "Content-Type: multipart/form-data; boundary=x",
            "Content-Type: nonsense",
            "Content-Type: application/json; charset=nonsense",
            "Content-Type: application/json; charset=utf-16",
            "Content-Encoding: gzip",
            "Content-Encoding: br",
            "If-Match: *",
            "If-Match: \"1\"",
            "If-Match: W/\"1\"",
            "If-Match: 1",
            "If-None-Match: *",
            "If-Modified-Since: yesterday",
            "Range: bytes=0-1",
            "Expect: 100-continue",
            "Expect: 200-ok",
            "Origin: http://elsewhere",
            "Access-Control-Request-Method: GET",
            "Cookie: a=b; ;;=",
            "Cookie: $Version=1",
            "X-HTTP-Method-Override: DELETE",
            "X-Forwarded-For: x",
            "X-Forwarded-Proto: nonsense",
            "X-Forwarded-Prefix: //elsewhere",
            "X-Forwarded-Prefix: /ops",
            "Idempotency-Key: 1",
            "Idempotency-Key: é",
            "Forwarded: for=\"",
            "Accept-Language: %%%",
            "Upgrade: h2c",
            "Connection: upgrade",
            "Connection: Upgrade, HTTP2-Settings",
            "TE: trailers",
            "Max-Forwards: -1",
            "X-Odd: é\u00ff",
            "X-Odd: \u0001",
            "X Odd: 1",
            "X-Odd : 1",
            ": 1",
            "X-Long: " + "a".repeat(3000),
            "X-Long: " + "a".repeat(9000),
            "X-Folded: a\r\n b",
            "Host: second",
            "Content-Length: 5",
            "Content-Length: -5",
            "Content-Length: five",
            "Content-Length: 99999999999999999999",
            "Transfer-Encoding: chunked",
            "Transfer-Encoding: identity",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: nonsense");
    private static final List<String> WRONG =
            List.of("Bearer", "Bearer x", "Bearer another-token-for-tests", "Token x", "Basic eDp5", "Bearer é", "");
    private static final List<String> BODIES = List.of(
            "",
            "",
            "",
            "{}",
            "[]",
            "null",
            "1",
            "{",
            "{\"priority\":1}",
            "{\"priority\":1e400}",
            "{\"priority\":\"\"}",
            "{\"interval\":\"1 ms\"}",
            "{\"interval\":\"\\u0000\"}",
            "{\"interval\":5}",
            "{\"interval\":\"1 day\"}",
            "{\"cron\":\"0 0 3 * * ?\"}",
            "{\"cron\":[]}",
            "{\"\\ud800\":1}",
            "{\"a\":\"\u00ff\"}",
            "\u0000",
            "[".repeat(2000),
            "{\"a\":".repeat(1500),
            "limit=5&x=%zz",
            "5\r\nhello\r\n0\r\n\r\n",
            "zz\r\n\r\n",
            "{\"results\":[]}",
            "[{\"pipeline\":1}]",
            "{\"views\":[\"app.item_fact\"]}",
            "{\"views\":[{}]}",
            "{\"name\":\"x\",\"role\":\"reader\"}",
            "--x\r\n\r\n--x--\r\n");

    private static final Sender[] SENDERS = Sender.values();

    private final Random random;
    private final Map<Sender, String> tokens;
    private final List<String> paths;

    /** @param tokens one for each sender that has a valid one */
    OddRequests(Random random, String view, Map<Sender, String> tokens) {
        this.random = random;
        this.tokens = tokens;
        String one = "/api/views/" + view;
        this.paths = List.of(
                "/",
                "/api",
                "/api/views",
                one,
                one + "/schedule",
                one + "/schedule",
                one + "/refresh",
                one + "/verify",
                one + "/explode",
                "/api/views/app.gone",
                "/api/views/app.gone/refresh",
                "/api/runs",
                "/api/runs/1",
                "/api/runs/x",
                "/api/jobs",
                "/api/jobs/1",
                "/api/ingest",
                "/api/dead-letters",
                "/api/dead-letters/reasons",
                "/api/dead-letters/replay",
                "/api/dead-letters/1/replay",
                "/api/dead-letters/1/payload",
                "/api/dead-letters/1",
                "/api/now",
                "/api/now/lags",
                "/api/now/merge-times",
                "/api/health",
                "/api/session",
                "/api/openapi.json",
                "/api/transactions",
                "/api/transactions/1",
                "/api/tokens",
                "/api/tokens/1",
                "/api/audit",
                "/api/refresh",
                one + "/details",
                one + "/explain",
                one + "/quarantine",
                one + "/history",
                one + "/row",
                "/ui/main.js",
                "/ui/nothing",
                "/api/v2/jobs/1/result/",
                "/api/v2/jobs/1/result",
                "/error",
                "/actuator",
                "/actuator/health",
                "/actuator/health/liveness",
                "/actuator/prometheus",
                "/favicon.ico",
                "*",
                "http://elsewhere/api/views",
                "x");
    }

    /** Whose token a request has. */
    enum Sender {
        NOBODY,
        WRONG,
        READER,
        OPERATOR,
        OWNER;

        boolean mayCall() {
            return this != NOBODY && this != WRONG;
        }
    }

    /** A request as it is sent. */
    record Request(String method, String path, Sender sender, byte[] bytes) {
        @Override
        public String toString() {
            return new String(bytes, StandardCharsets.UTF_8).replaceAll("(.)\\1{100,}", "$1…$1");
        }
    }

    Request next() {
        String method = one(METHODS);
        String path = path();
        Sender sender = SENDERS[random.nextInt(SENDERS.length)];
        String body = one(BODIES);
        StringBuilder text = new StringBuilder(method)
                .append(' ')
                .append(path)
                .append(random.nextInt(60) == 0 ? " HTTP/1.0" : random.nextInt(200) == 0 ? " HTTP/3.1" : " HTTP/1.1")
                .append("\r\n");
        if (sender.mayCall()) {
            text.append("Authorization: Bearer ").append(tokens.get(sender)).append("\r\n");
        } else if (sender == Sender.WRONG) {
            text.append("Authorization: ").append(one(WRONG)).append("\r\n");
        }
        if (random.nextInt(50) > 0) {
            text.append("Host: ")
                    .append(random.nextInt(40) == 0 ? "a b" : "localhost")
                    .append("\r\n");
        }
        for (int i = random.nextInt(3); i > 0; i--) {
            text.append(one(HEADERS)).append("\r\n");
        }
        byte[] bytes = body.getBytes(random.nextBoolean() ? StandardCharsets.UTF_8 : StandardCharsets.ISO_8859_1);
        if (!body.isEmpty()
                && !text.toString().contains("Transfer-Encoding")
                && !text.toString().contains("Content-Length")) {
            text.append("Content-Length: ").append(bytes.length).append("\r\n");
        }
        return new Request(method, path, sender, join(text.append("\r\n").toString(), bytes));
    }

    private String path() {
        StringBuilder path = new StringBuilder(one(paths));
        for (int i = random.nextInt(3); i > 0; i--) {
            int at = random.nextInt(4) == 0 ? random.nextInt(path.length()) : path.length();
            path.insert(at, one(ODD));
        }
        if (random.nextInt(3) == 0) {
            path.append('?');
            for (int i = random.nextInt(3) + 1; i > 0; i--) {
                path.append(one(PARAMETERS))
                        .append(random.nextBoolean() ? "=" : "")
                        .append(one(ODD))
                        .append('&');
            }
        }
        return path.toString();
    }

    private static byte[] join(String head, byte[] body) {
        byte[] first = head.getBytes(StandardCharsets.UTF_8);
        byte[] all = new byte[first.length + body.length];
        System.arraycopy(first, 0, all, 0, first.length);
        System.arraycopy(body, 0, all, first.length, body.length);
        return all;
    }

    private String one(List<String> choices) {
        return choices.get(random.nextInt(choices.size()));
    }
}
