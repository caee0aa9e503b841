package dev.countersink.admin;

import jakarta.servlet.http.HttpServletRequest;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.servlet.mvc.method.annotation.SseEmitter;

/** Server-sent events for the dashboard: that something has changed, so that it asks again. */
@RestController
class EventsController {
    private final EventStreams streams;
    private final Access access;

    EventsController(EventStreams streams, Access access) {
        this.streams = streams;
        this.access = access;
    }

    /** A stream that lasts as long as its caller may call. */
    @GetMapping(path = "/api/events", produces = MediaType.TEXT_EVENT_STREAM_VALUE)
    ResponseEntity<SseEmitter> events(HttpServletRequest request) {
        return ResponseEntity.ok()
                // Proxies that gather answers would hold events back.
                .header("X-Accel-Buffering", "no")
                .body(streams.open(() -> access.stillAdmits(request)));
    }
}
