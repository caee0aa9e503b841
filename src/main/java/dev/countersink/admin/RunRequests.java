package dev.countersink.admin;

import dev.countersink.db.ControlDb;
import dev.countersink.jobs.RunService;
import jakarta.servlet.http.HttpServletRequest;
import java.net.URI;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.springframework.http.ResponseEntity;
import org.springframework.stereotype.Component;
import org.springframework.web.util.UriComponentsBuilder;

/** Requests that become runs, and their answers. With an Idempotency-Key the same request has the same answer. */
@Component
class RunRequests {
    static final String KEY = "Idempotency-Key";

    private final RunService runs;
    private final Access access;

    RunRequests(RunService runs, Access access) {
        this.runs = runs;
        this.access = access;
    }

    /** The answer to a request that has become one run. */
    record Accepted(long run) {}

    /** The answer to a request that has become several. */
    record AcceptedAll(List<OfView> runs) {}

    /** One of them. */
    record OfView(String view, long run, String location) {}

    ResponseEntity<Accepted> act(HttpServletRequest request, String view, String action, @Nullable Double sample) {
        return accepted(
                request,
                runs.request(List.of(view), action, sample, sender(request)).get(0));
    }

    ResponseEntity<Accepted> replay(HttpServletRequest request, long deadLetter) {
        return accepted(request, runs.requestReplay(deadLetter, sender(request)));
    }

    /**
     * The answer to a request for a page of dead letters.
     *
     * @param next the path of the request for the next page, null if there is none
     */
    record AcceptedReplays(List<OfLetter> runs, @Nullable String next) {}

    /** One of them. */
    record OfLetter(long deadLetter, long run, String location) {}

    ResponseEntity<AcceptedReplays> replays(
            HttpServletRequest request, @Nullable String sqlstate, long after, int limit) {
        AuditLog.target(request, sqlstate == null ? "all" : sqlstate);
        List<ControlDb.Replay> replays = runs.requestReplays(sqlstate, after, limit, sender(request));
        AuditLog.runs(request, replays.stream().map(ControlDb.Replay::run).toList());
        String next = replays.size() < limit
                ? null
                : UriComponentsBuilder.fromPath(ForwardedPrefix.path("/api/dead-letters/replay"))
                        .queryParam("after", replays.get(limit - 1).deadLetter())
                        .queryParam("limit", limit)
                        .queryParamIfPresent("sqlstate", Optional.ofNullable(sqlstate))
                        .encode()
                        .toUriString();
        return ResponseEntity.accepted()
                .body(new AcceptedReplays(
                        replays.stream()
                                .map(of -> new OfLetter(of.deadLetter(), of.run(), location(of.run())))
                                .toList(),
                        next));
    }

    ResponseEntity<AcceptedAll> refresh(HttpServletRequest request, List<String> views) {
        AuditLog.target(request, String.join(" ", views));
        List<Long> requested = runs.request(views, "refresh", null, sender(request));
        AuditLog.runs(request, requested);
        return ResponseEntity.accepted()
                .body(new AcceptedAll(IntStream.range(0, views.size())
                        .mapToObj(i -> new OfView(views.get(i), requested.get(i), location(requested.get(i))))
                        .toList()));
    }

    private RunService.Sender sender(HttpServletRequest request) {
        return new RunService.Sender(access.caller(request).orElseThrow().name(), request.getHeader(KEY));
    }

    private static ResponseEntity<Accepted> accepted(HttpServletRequest request, long run) {
        AuditLog.runs(request, List.of(run));
        return ResponseEntity.accepted().location(URI.create(location(run))).body(new Accepted(run));
    }

    private static String location(long run) {
        return ForwardedPrefix.path("/api/runs/" + run);
    }
}
