package dev.countersink.admin;

import dev.countersink.db.TallyDb;
import dev.countersink.refresh.Runs;
import java.net.URI;
import java.util.Map;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;
import tools.jackson.databind.node.ObjectNode;

/** Derived views: state, pending, lag; and what can be asked of one. */
@RestController
@RequestMapping("/api/views")
class ViewsController {
    private final TallyDb tally;
    private final Runs runs;
    private final JsonRows rows;

    ViewsController(TallyDb tally, Runs runs, JsonRows rows) {
        this.tally = tally;
        this.runs = runs;
        this.rows = rows;
    }

    @GetMapping
    JsonRows.Page views(@RequestParam(required = false) String fields) {
        return new JsonRows.Page(rows.objects(tally.views(), fields), null);
    }

    @GetMapping("/{name}")
    ObjectNode view(@PathVariable String name) {
        return tally.view(name).stream().findFirst().map(rows::object).orElseThrow(() -> NotFoundException.view(name));
    }

    @PostMapping("/{name}/{action:refresh|verify|repair|rebuild|pause|resume}")
    ResponseEntity<Map<String, Long>> act(@PathVariable String name, @PathVariable String action) {
        long run = runs.request(name, action);
        return ResponseEntity.accepted()
                .location(URI.create("/api/runs/" + run))
                .body(Map.of("run", run));
    }
}
