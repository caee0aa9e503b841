package dev.countersink.admin;

import jakarta.servlet.http.HttpServletRequest;
import java.net.URI;
import java.util.List;
import java.util.Map;
import org.springframework.http.ResponseEntity;

/** The answer to a request that has become a run. */
final class RequestedRun {
    private RequestedRun() {}

    static ResponseEntity<Map<String, Long>> answer(HttpServletRequest request, long run) {
        AuditLog.runs(request, List.of(run));
        return ResponseEntity.accepted()
                .location(URI.create("/api/runs/" + run))
                .body(Map.of("run", run));
    }
}
