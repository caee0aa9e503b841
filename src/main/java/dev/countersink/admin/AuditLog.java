package dev.countersink.admin;

import dev.countersink.db.AccessDb;
import jakarta.servlet.http.HttpServletRequest;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.dao.DataAccessException;
import org.springframework.http.HttpStatus;
import org.springframework.transaction.TransactionException;
import org.springframework.web.servlet.HandlerMapping;

/**
 * Who did what. An act is noted before it is done, so that none is missing; what became of it is added afterwards. Only
 * signing in and out, and sending results, are noted when they are over: they go on while the database is away.
 */
final class AuditLog {
    private static final Logger LOG = LoggerFactory.getLogger(AuditLog.class);
    private static final String ACT = AuditLog.class.getName();
    private static final String TARGET = ACT + ".target";
    private static final String RUNS = ACT + ".runs";

    private static final String LATER = ACT + ".later";
    /** Instead of a name and a role. No token has this name. */
    private static final String NOBODY = "-";

    private final Supplier<AccessDb> db;
    private final ActNotes notes;
    private final ClientAddress address;

    /** @param db is opened after the web server is made */
    AuditLog(Supplier<AccessDb> db, ActNotes notes, ClientAddress address) {
        this.db = db;
        this.notes = notes;
        this.address = address;
    }

    /** What a request means, if its path does not say. */
    static void target(HttpServletRequest request, String target) {
        request.setAttribute(TARGET, target.replace('\0', ' ')); // PostgreSQL's text cannot have it
    }

    /** The runs that a request has requested or cancelled. */
    static void runs(HttpServletRequest request, List<Long> runs) {
        request.setAttribute(RUNS, runs);
    }

    /** @throws DataAccessException if it cannot be noted; then it is not done */
    void begin(HttpServletRequest request, Caller caller) {
        request.setAttribute(
                ACT, db.get().beginAct(act(request, caller.name(), caller.role().toString())));
    }

    /** Has it noted when it is over. */
    void later(HttpServletRequest request, Caller caller) {
        request.setAttribute(LATER, caller);
    }

    /** Notes that somebody has tried to sign in with a token that is not valid. */
    void failedSignIn(HttpServletRequest request) {
        notes.addFailure(act(request, NOBODY, NOBODY), HttpStatus.UNAUTHORIZED.value());
    }

    private AccessDb.Act act(HttpServletRequest request, String who, String role) {
        String query = request.getQueryString();
        return new AccessDb.Act(
                who,
                role,
                address.of(request),
                request.getMethod(),
                request.getRequestURI() + (query == null ? "" : "?" + query),
                inPath(request));
    }

    private static @Nullable String inPath(HttpServletRequest request) {
        return request.getAttribute(HandlerMapping.URI_TEMPLATE_VARIABLES_ATTRIBUTE) instanceof Map<?, ?> variables
                        && !variables.isEmpty()
                ? variables.entrySet().stream()
                        .filter(variable -> !"action".equals(variable.getKey()))
                        .map(variable -> String.valueOf(variable.getValue()))
                        .collect(Collectors.joining(" "))
                : null;
    }

    void end(HttpServletRequest request, int status) {
        if (request.getAttribute(LATER) instanceof Caller caller) {
            notes.add(act(request, caller.name(), caller.role().toString()), status);
        }
        if (request.getAttribute(ACT) instanceof Long act) {
            try {
                db.get().finishAct(act, status, (String) request.getAttribute(TARGET), runs(request));
            } catch (DataAccessException | TransactionException e) {
                LOG.warn("What became of act {} cannot be noted, its status is {}: {}", act, status, e.getMessage());
            }
        }
    }

    private static List<Long> runs(HttpServletRequest request) {
        return request.getAttribute(RUNS) instanceof List<?> runs
                ? runs.stream().map(Long.class::cast).toList()
                : List.of();
    }
}
