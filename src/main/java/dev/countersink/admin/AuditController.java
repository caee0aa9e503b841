package dev.countersink.admin;

import dev.countersink.db.AccessDb;
import java.util.Collections;
import org.jspecify.annotations.Nullable;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

/** Who did what over the API, the newest first. */
@RestController
class AuditController {
    private final AccessDb db;
    private final JsonRows rows;

    AuditController(AccessDb db, JsonRows rows) {
        this.db = db;
        this.rows = rows;
    }

    @GetMapping("/api/audit")
    JsonRows.Page acts(
            @RequestParam(required = false) @Nullable Long after,
            @RequestParam(defaultValue = Limit.DEFAULT) int limit,
            @RequestParam(required = false) @Nullable String who,
            @RequestParam(required = false) @Nullable String fields) {
        return rows.page(
                db.acts(after, Limit.check(limit), who),
                limit,
                fields,
                "/api/audit",
                "id",
                Collections.singletonMap("who", who));
    }
}
