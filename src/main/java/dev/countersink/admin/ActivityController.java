package dev.countersink.admin;

import dev.countersink.db.ControlDb;
import dev.countersink.jobs.ThreadPools;
import jakarta.servlet.http.HttpServletRequest;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/** What is at work in the database, and what holds it up: merges, instances, threads, triggers, delta tables, slow statements. */
@RestController
class ActivityController {
    private static final int DELTAS = 50;
    private static final int STATEMENTS = 20;

    private final ControlDb control;
    private final ThreadPools pools;
    private final Access access;
    private final JsonRows rows;

    ActivityController(ControlDb control, ThreadPools pools, Access access, JsonRows rows) {
        this.control = control;
        this.pools = pools;
        this.access = access;
        this.rows = rows;
    }

    @GetMapping("/api/activity")
    Map<String, List<?>> activity(HttpServletRequest request) {
        Map<String, List<?>> all = new LinkedHashMap<>();
        all.put("merges", rows.objects(control.merging(), null));
        all.put("instances", rows.objects(control.instances(), null));
        all.put("threads", pools.now());
        all.put("triggers", rows.objects(control.triggers(), null));
        all.put("deltas", rows.objects(control.deltas(DELTAS), null));
        all.put(
                "statements",
                rows.objects(control.slowStatements(STATEMENTS, access.includes(request, Role.OPERATOR)), null));
        return all;
    }
}
