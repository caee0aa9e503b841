package dev.countersink.admin;

import dev.countersink.db.Hurry;
import jakarta.servlet.ServletException;
import java.io.IOException;
import java.io.InputStream;
import java.util.concurrent.Semaphore;
import java.util.regex.Pattern;
import org.apache.catalina.connector.Request;
import org.apache.catalina.connector.Response;
import org.apache.catalina.valves.ValveBase;
import org.apache.coyote.ActionCode;
import org.springframework.http.HttpHeaders;
import org.springframework.http.HttpStatus;

/**
 * Stands before everything else that answers requests. It bounds how many are answered at the same time, so that the probes
 * always find a thread; it reads no body of a caller who may not call; and whatever error nobody has described so far, such as
 * those of the web server itself, becomes a problem document here.
 */
final class HttpGate extends ValveBase {
    /** Fewer than there are threads: the others answer the probes, and refuse what is too much. */
    static final int REQUESTS = 100;

    /** The web server does not decode parameters of a path, but what comes after it does. */
    private static final Pattern BROKEN = Pattern.compile("%(?![0-9A-Fa-f]{2})");

    private static final String PROBES = "/actuator/health";
    private static final int MOST_DRAINED = 256 * 1024;
    private static final int DRAINED_AT_ONCE = 8192;

    private final Access access;
    private final ProblemWriter problems;
    private final Semaphore free;

    HttpGate(Access access, ProblemWriter problems, int requests) {
        super(true);
        this.access = access;
        this.problems = problems;
        this.free = new Semaphore(requests);
    }

    @Override
    public void invoke(Request request, Response response) throws IOException, ServletException {
        if (BROKEN.matcher(String.valueOf(request.getRequestURI())).find()) {
            response.setStatus(HttpStatus.BAD_REQUEST.value());
        }
        if (response.getStatus() >= HttpStatus.BAD_REQUEST.value()) { // perhaps the web server has refused it already
            response.setHeader(HttpHeaders.CONNECTION, "close");
            problems.describe(request, response);
            response.finishResponse();
            request.getCoyoteRequest().action(ActionCode.DISABLE_SWALLOW_INPUT, null);
            return;
        }
        boolean probe = isProbe(request);
        boolean admitted = probe ? isComplete(request) : free.tryAcquire();
        boolean mayBeRead = admitted && !probe && access.caller(request).isPresent();
        if (!mayBeRead && !isComplete(request)) {
            // Set before the answer is begun: what follows an unread body is no request.
            response.setHeader(HttpHeaders.CONNECTION, "close");
        }
        try {
            if (admitted) {
                Hurry hurry = Hurry.ofRequest();
                try {
                    getNext().invoke(request, response);
                } finally {
                    hurry.end();
                }
            } else if (probe) {
                problems.bodyOfProbe(response);
            } else {
                problems.tooMany(response);
            }
        } finally {
            if (admitted && !probe) {
                free.release();
            }
        }
        problems.describe(request, response);
        if (!mayBeRead && !isComplete(request)) {
            leave(request, response);
        }
    }

    private static boolean isProbe(Request request) {
        String path = request.getRequestURI();
        return path != null && (path.equals(PROBES) || path.startsWith(PROBES + "/"));
    }

    private static boolean isComplete(Request request) {
        boolean body = request.getContentLengthLong() > 0 || request.getHeader(HttpHeaders.TRANSFER_ENCODING) != null;
        return !body || request.isFinished();
    }

    /**
     * Closes the connection without waiting for the rest of a body. What has arrived is taken, because a connection that is
     * closed with unread bytes is reset, and its sender may then not see the answer.
     */
    private static void leave(Request request, Response response) throws IOException {
        // An answer that is not on its way would become a 500.
        response.finishResponse();
        try {
            if (request.getContentLengthLong() > 0 && request.getHeader(HttpHeaders.EXPECT) == null) {
                drain(request.getStream());
            }
        } finally {
            request.getCoyoteRequest().action(ActionCode.DISABLE_SWALLOW_INPUT, null);
        }
    }

    private static void drain(InputStream body) throws IOException {
        byte[] bytes = new byte[DRAINED_AT_ONCE];
        int drained = 0;
        for (int count = body.available(); count > 0 && drained < MOST_DRAINED; count = body.available()) {
            drained += Math.max(1, body.read(bytes, 0, Math.min(count, bytes.length)));
        }
    }
}
