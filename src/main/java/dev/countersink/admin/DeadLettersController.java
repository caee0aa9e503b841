package dev.countersink.admin;

import dev.countersink.db.ResultsReads;
import jakarta.servlet.http.HttpServletRequest;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.springframework.http.ContentDisposition;
import org.springframework.http.HttpHeaders;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.DeleteMapping;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

/** Messages that could not be applied, with the reason. */
@RestController
class DeadLettersController {
    private static final String OPEN = "open";

    private final ResultsReads results;
    private final RunRequests requests;
    private final JsonRows rows;

    DeadLettersController(ResultsReads results, RunRequests requests, JsonRows rows) {
        this.results = results;
        this.requests = requests;
        this.rows = rows;
    }

    @GetMapping("/api/dead-letters")
    JsonRows.Page deadLetters(
            @RequestParam(defaultValue = "0") long after,
            @RequestParam(defaultValue = Limit.DEFAULT) int limit,
            @RequestParam(required = false) @Nullable String state,
            @RequestParam(required = false) @Nullable String sqlstate,
            @RequestParam(required = false) @Nullable String fields) {
        if (state != null && !state.equals(OPEN)) {
            throw new BadRequestException(
                    String.format(Locale.ROOT, "There is no state '%s' of dead letters.", state),
                    "Ask for state=open, or leave it out for all.");
        }
        Map<String, @Nullable String> filter = new LinkedHashMap<>();
        filter.put("state", state);
        filter.put("sqlstate", sqlstate);
        return rows.page(
                results.deadLetters(after, Limit.check(limit), state != null, sqlstate),
                limit,
                fields,
                "/api/dead-letters",
                "id",
                filter);
    }

    /** How many messages wait for each reason, the most first. */
    @GetMapping("/api/dead-letters/reasons")
    JsonRows.Page reasons(
            @RequestParam(defaultValue = "0") int after, @RequestParam(defaultValue = Limit.DEFAULT) int limit) {
        return rows.slice(results.deadLetterReasons(), after, limit, "/api/dead-letters/reasons");
    }

    /** Requests that those that wait, for a reason or for any, are applied again. */
    @PostMapping("/api/dead-letters/replay")
    @Needs(Role.OPERATOR)
    ResponseEntity<RunRequests.AcceptedReplays> replayAll(
            @RequestParam(required = false) @Nullable String sqlstate,
            @RequestParam(defaultValue = "0") long after,
            @RequestParam(defaultValue = Limit.DEFAULT) int limit,
            HttpServletRequest request) {
        return requests.replays(request, sqlstate, after, Limit.check(limit));
    }

    /** The bytes of a message, as they were received. */
    @GetMapping("/api/dead-letters/{id}/payload")
    ResponseEntity<byte[]> payload(@PathVariable long id) {
        return ResponseEntity.ok()
                .contentType(MediaType.APPLICATION_OCTET_STREAM)
                .header(
                        HttpHeaders.CONTENT_DISPOSITION,
                        ContentDisposition.attachment()
                                .filename("dead-letter-" + id)
                                .build()
                                .toString())
                .body(results.deadLetterPayload(id));
    }

    /** Deletes a message that nobody wants any more. */
    @DeleteMapping("/api/dead-letters/{id}")
    @Needs(Role.OPERATOR)
    ResponseEntity<Void> discard(@PathVariable long id) {
        results.discardDeadLetter(id);
        return ResponseEntity.noContent().build();
    }

    /** Requests that a message is applied again, in the same way as a new one. This may be repeated. */
    @PostMapping("/api/dead-letters/{id}/replay")
    @Needs(Role.OPERATOR)
    ResponseEntity<RunRequests.Accepted> replay(@PathVariable long id, HttpServletRequest request) {
        return requests.replay(request, id);
    }
}
