package dev.countersink.admin;

import dev.countersink.db.AccessDb;
import jakarta.servlet.http.HttpServletRequest;
import java.net.URI;
import java.time.DateTimeException;
import java.time.OffsetDateTime;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.DeleteMapping;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;
import tools.jackson.databind.node.ObjectNode;

/** Named tokens. A token itself is in the answer to the request that makes it, and nowhere else. */
@RestController
@RequestMapping("/api/tokens")
class TokensController {
    private static final String PATH = "/api/tokens";

    private final AccessDb db;
    private final NamedTokens known;
    private final Access access;
    private final JsonRows rows;

    TokensController(AccessDb db, NamedTokens known, Access access, JsonRows rows) {
        this.db = db;
        this.known = known;
        this.access = access;
        this.rows = rows;
    }

    /** @param expires as in 2027-01-01T00:00:00Z, null for never */
    record Wanted(
            @Nullable String name,
            @Nullable String role,
            @Nullable String expires) {}

    @GetMapping
    @Needs(Role.OWNER)
    JsonRows.Page tokens(
            @RequestParam(required = false) @Nullable String after,
            @RequestParam(defaultValue = Limit.DEFAULT) int limit,
            @RequestParam(required = false) @Nullable String fields) {
        return rows.page(db.tokens(after, Limit.check(limit)), limit, fields, PATH, "name");
    }

    @PostMapping
    @Needs(Role.OWNER)
    ResponseEntity<ObjectNode> make(@RequestBody Wanted wanted, HttpServletRequest request) {
        AuditLog.target(request, String.valueOf(wanted.name()));
        String token = ApiToken.random();
        ObjectNode made = rows.object(db.addToken(
                wanted.name(),
                wanted.role(),
                ApiToken.hash(token),
                access.caller(request).orElseThrow().name(),
                time(wanted.expires())));
        known.changed();
        made.put("token", token);
        return ResponseEntity.created(URI.create(
                        ForwardedPrefix.path(PATH + "/" + made.path("name").asString())))
                .body(made);
    }

    private static @Nullable OffsetDateTime time(@Nullable String text) {
        try {
            return text == null ? null : OffsetDateTime.parse(text);
        } catch (DateTimeException e) {
            throw new BadRequestException(
                    String.format(Locale.ROOT, "expires is '%s', which is no time.", text),
                    "Write it as in 2027-01-01T00:00:00Z, or leave it out for a token that does not expire.");
        }
    }

    @DeleteMapping("/{name}")
    @Needs(Role.OWNER)
    ResponseEntity<Void> revoke(@PathVariable String name) {
        if (!db.revokeToken(name)) {
            throw new NotFoundException(
                    Problems.NO_DATA,
                    String.format(Locale.ROOT, "There is no token %s.", name),
                    "GET /api/tokens lists those there are.");
        }
        known.changed();
        return ResponseEntity.noContent().build();
    }
}
