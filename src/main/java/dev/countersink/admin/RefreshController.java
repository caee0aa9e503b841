package dev.countersink.admin;

import jakarta.servlet.http.HttpServletRequest;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RestController;

/** Several derived views in one request. */
@RestController
class RefreshController {
    private static final int MOST = 1000;

    private final RunRequests requests;

    RefreshController(RunRequests requests) {
        this.requests = requests;
    }

    /** @param views their names */
    record Wanted(@Nullable List<@Nullable String> views) {}

    /** Requests a refresh of each view, or of none if there is one that does not exist. */
    @PostMapping("/api/refresh")
    @Needs(Role.OPERATOR)
    ResponseEntity<RunRequests.AcceptedAll> refresh(@RequestBody Wanted wanted, HttpServletRequest request) {
        return requests.refresh(request, names(wanted.views()));
    }

    private static List<String> names(@Nullable List<@Nullable String> views) {
        if (views == null || views.isEmpty() || views.size() > MOST || views.contains(null)) {
            throw new BadRequestException(
                    "The body names no views, or more than 1000.",
                    "Send {\"views\":[\"schema.name\"]}; GET /api/views lists those there are.");
        }
        return views.stream().map(String::valueOf).toList();
    }
}
