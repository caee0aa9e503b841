package dev.countersink.admin;

import dev.countersink.config.Cron;
import dev.countersink.db.ControlDb;
import dev.countersink.db.TallyDb;
import dev.countersink.jobs.ScheduleService;
import dev.countersink.monitor.ViewBoard;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpHeaders;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PatchMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestHeader;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.util.UriUtils;
import tools.jackson.databind.node.ObjectNode;

/** Derived views: their state, pending keys and lag; and actions on one of them. */
@RestController
@RequestMapping("/api/views")
class ViewsController {
    private static final Pattern VERSION_TAG = Pattern.compile("\\*|\"(\\d{1,9})\"");

    private final TallyDb tally;
    private final ControlDb control;
    private final ViewBoard board;
    private final RunRequests requests;
    private final ScheduleService schedules;
    private final JsonRows rows;

    ViewsController(
            TallyDb tally,
            ControlDb control,
            RunRequests requests,
            ScheduleService schedules,
            ViewBoard board,
            JsonRows rows) {
        this.tally = tally;
        this.control = control;
        this.board = board;
        this.requests = requests;
        this.schedules = schedules;
        this.rows = rows;
    }

    @GetMapping
    JsonRows.Page views(
            @RequestParam(required = false) @Nullable String after,
            @RequestParam(defaultValue = Limit.DEFAULT) int limit,
            @RequestParam(required = false) @Nullable String fields) {
        return rows.page(control.views(after, Limit.check(limit)), limit, fields, "/api/views", "name");
    }

    /**
     * One derived view. The ETag is only that of its schedule. So it is not set by a ResponseEntity, for which Spring would
     * answer 304 to a caller with this schedule, even if something else has changed.
     */
    @GetMapping("/{name}")
    ObjectNode view(@PathVariable String name, HttpServletResponse response) {
        ObjectNode view =
                tally.view(name).stream().findFirst().map(rows::object).orElseThrow(() -> NotFoundException.view(name));
        response.setHeader(HttpHeaders.ETAG, etag(view));
        return view;
    }

    /** What is shown of a derived view besides its state: definition, key, size, sources. */
    @GetMapping("/{name}/details")
    ObjectNode details(@PathVariable String name) {
        return control.viewDetails(name).map(rows::object).orElseThrow(() -> NotFoundException.view(name));
    }

    /** What has to be watched to keep it, and how that leads to its keys. */
    @GetMapping("/{name}/explain")
    JsonRows.Page explain(
            @PathVariable String name,
            @RequestParam(defaultValue = "0") int after,
            @RequestParam(defaultValue = Limit.DEFAULT) int limit) {
        return rows.slice(tally.explained(name), after, limit, path(name, "explain"));
    }

    /** The keys that could not be evaluated, the oldest first. */
    @GetMapping("/{name}/quarantine")
    JsonRows.Page quarantine(
            @PathVariable String name,
            @RequestParam(defaultValue = "0") int after,
            @RequestParam(defaultValue = Limit.DEFAULT) int limit) {
        return rows.slice(
                control.quarantined(name, JsonRows.end(after, limit)), after, limit, path(name, "quarantine"));
    }

    /** One row, stored, live and by the definition, and what it is made of: in one snapshot. */
    @GetMapping("/{name}/row")
    JsonRows.Page row(@PathVariable String name, @RequestParam String cell) {
        return new JsonRows.Page(rows.objects(control.compareRow(name, cell), null), null);
    }

    /** The rows of the sources that a row of a projection comes from. */
    @GetMapping("/{name}/row/sources")
    JsonRows.Page sources(@PathVariable String name, @RequestParam String cell) {
        return new JsonRows.Page(rows.objects(control.baseRows(name, cell), null), null);
    }

    /** Which transaction wrote its stored row last, and when. */
    @GetMapping("/{name}/row/changed")
    JsonRows.Page changed(@PathVariable String name, @RequestParam String cell) {
        return new JsonRows.Page(rows.objects(control.lastChange(name, cell), null), null);
    }

    /** Its last verifications, and since when none has found a difference. */
    @GetMapping("/{name}/trust")
    JsonRows.Page trust(@PathVariable String name, @RequestParam(defaultValue = Limit.DEFAULT) int limit) {
        return new JsonRows.Page(rows.objects(control.trust(name, Limit.check(limit)), null), null);
    }

    private static String path(String name, String part) {
        return "/api/views/" + UriUtils.encode(name, StandardCharsets.UTF_8) + "/" + part;
    }

    /** The last hour, as this instance saw it. */
    @GetMapping("/{name}/history")
    Map<String, List<? extends @Nullable Object>> history(@PathVariable String name) {
        return board.history(name);
    }

    /** Changes when a derived view is brought up to date. What the body does not name is kept. */
    @PatchMapping("/{name}/schedule")
    @Needs(Role.OPERATOR)
    ObjectNode schedule(
            @PathVariable String name,
            @RequestHeader(value = HttpHeaders.IF_MATCH, required = false) @Nullable String ifMatch,
            @RequestBody ObjectNode changes,
            HttpServletResponse response) {
        Integer version = expectedVersion(ifMatch);
        if (changes.path("cron").isString()) {
            Cron.problem(changes.path("cron").asString().strip()).ifPresent(problem -> {
                throw RefusedException.badCron(problem);
            });
        }
        ObjectNode view = schedules
                .change(name, changes.toString(), version)
                .map(rows::object)
                .orElseThrow(() -> NotFoundException.view(name));
        response.setHeader(HttpHeaders.ETAG, etag(view));
        return view;
    }

    private static @Nullable Integer expectedVersion(@Nullable String ifMatch) {
        if (ifMatch == null) {
            throw RefusedException.noIfMatch();
        }
        Matcher tag = VERSION_TAG.matcher(ifMatch.strip());
        if (!tag.matches()) {
            throw RefusedException.noVersion(ifMatch);
        }
        return tag.group(1) == null ? null : Integer.valueOf(tag.group(1));
    }

    private static String etag(ObjectNode view) {
        return String.format(
                Locale.ROOT, "\"%d\"", view.path("schedule_version").asInt());
    }

    @PostMapping("/{name}/{action:refresh|verify|repair|pause|resume}")
    @Needs(Role.OPERATOR)
    ResponseEntity<RunRequests.Accepted> act(
            @PathVariable String name,
            @PathVariable String action,
            @RequestParam(required = false) @Nullable Double sample,
            HttpServletRequest request) {
        return requests.act(request, name, action, sample);
    }

    @PostMapping("/{name}/rebuild")
    @Needs(Role.OWNER)
    ResponseEntity<RunRequests.Accepted> rebuild(@PathVariable String name, HttpServletRequest request) {
        return requests.act(request, name, "rebuild", null);
    }
}
