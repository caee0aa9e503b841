package dev.countersink.admin;

import dev.countersink.db.ResultsReads;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;
import tools.jackson.databind.node.ObjectNode;

/** Jobs with their progress. */
@RestController
class JobsController {
    private final ResultsReads results;
    private final JsonRows rows;

    JobsController(ResultsReads results, JsonRows rows) {
        this.results = results;
        this.rows = rows;
    }

    @GetMapping("/api/jobs")
    JsonRows.Page jobs(
            @RequestParam(defaultValue = "0") long after,
            @RequestParam(defaultValue = Limit.DEFAULT) int limit,
            @RequestParam(required = false) @Nullable String fields) {
        return rows.page(results.jobs(after, Limit.check(limit)), limit, fields, "/api/jobs", "id");
    }

    @GetMapping("/api/jobs/{id}")
    ObjectNode job(@PathVariable long id) {
        return results.jobs(List.of(id)).stream()
                .findFirst()
                .map(rows::object)
                .orElseThrow(() -> new NotFoundException(
                        "RS001",
                        String.format(Locale.ROOT, "There is no job %d.", id),
                        "GET /api/jobs lists those there are."));
    }
}
