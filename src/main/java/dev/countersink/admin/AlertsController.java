package dev.countersink.admin;

import dev.countersink.db.GuardDb;
import java.util.Collections;
import org.jspecify.annotations.Nullable;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

/** What is wrong, since when and what to do; and what was wrong. */
@RestController
class AlertsController {
    private final GuardDb guard;
    private final JsonRows rows;

    AlertsController(GuardDb guard, JsonRows rows) {
        this.guard = guard;
        this.rows = rows;
    }

    @GetMapping("/api/alerts")
    JsonRows.Page alerts(
            @RequestParam(required = false) @Nullable Long after,
            @RequestParam(defaultValue = Limit.DEFAULT) int limit,
            @RequestParam(required = false) @Nullable String state,
            @RequestParam(required = false) @Nullable String fields) {
        return rows.page(
                guard.alerts(after, Limit.check(limit), state),
                limit,
                fields,
                "/api/alerts",
                "id",
                Collections.singletonMap("state", state));
    }
}
