package dev.countersink.admin;

import dev.countersink.db.ControlDb;
import jakarta.servlet.http.HttpServletRequest;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpStatus;
import org.springframework.web.bind.annotation.DeleteMapping;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.ResponseStatus;
import org.springframework.web.bind.annotation.RestController;
import tools.jackson.databind.node.ObjectNode;

/** Runs that were requested, the newest first. */
@RestController
@RequestMapping("/api/runs")
class RunsController {
    private final ControlDb control;
    private final JsonRows rows;

    RunsController(ControlDb control, JsonRows rows) {
        this.control = control;
        this.rows = rows;
    }

    @GetMapping
    JsonRows.Page runs(
            @RequestParam(required = false) @Nullable Long after,
            @RequestParam(defaultValue = Limit.DEFAULT) int limit,
            @RequestParam(required = false) @Nullable String view,
            @RequestParam(required = false) @Nullable String state,
            @RequestParam(required = false) @Nullable String since,
            @RequestParam(required = false) @Nullable String until,
            @RequestParam(required = false) @Nullable String fields) {
        Map<String, @Nullable String> filter = new LinkedHashMap<>();
        filter.put("view", view);
        filter.put("state", state);
        filter.put("since", since);
        filter.put("until", until);
        return rows.page(
                control.runs(after, Limit.check(limit), view, state, since, until),
                limit,
                fields,
                "/api/runs",
                "id",
                filter);
    }

    @GetMapping("/{id}")
    ObjectNode run(@PathVariable long id) {
        return control.run(id).map(rows::object).orElseThrow(() -> NotFoundException.run(id));
    }

    /** Ends a run: one that waits at once, one at work as soon as its statement is cancelled. Answers with the run. */
    @DeleteMapping("/{id}")
    @Needs(Role.OPERATOR)
    @ResponseStatus(HttpStatus.ACCEPTED)
    ObjectNode cancel(@PathVariable long id, HttpServletRequest request) {
        AuditLog.runs(request, List.of(id));
        ObjectNode run = run(id);
        if (!control.cancelRun(id)) {
            throw RefusedException.runOver(id, run.path("state").asString());
        }
        return run(id);
    }
}
