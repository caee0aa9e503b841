package dev.countersink.admin;

import dev.countersink.db.ResultsReads;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

/** Messages that could not be applied, with the reason. */
@RestController
class DeadLettersController {
    private final ResultsReads results;
    private final JsonRows rows;

    DeadLettersController(ResultsReads results, JsonRows rows) {
        this.results = results;
        this.rows = rows;
    }

    @GetMapping("/api/dead-letters")
    JsonRows.Page deadLetters(
            @RequestParam(defaultValue = "0") long after,
            @RequestParam(defaultValue = Limit.DEFAULT) int limit,
            @RequestParam(required = false) String fields) {
        return rows.page(results.deadLetters(after, Limit.check(limit)), limit, fields, "/api/dead-letters", "id");
    }
}
