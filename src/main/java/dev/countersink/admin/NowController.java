package dev.countersink.admin;

import dev.countersink.monitor.ViewBoard;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

/** Whether derived data is fresh and right: one level, one sentence, and what is behind it. */
@RestController
class NowController {
    private final ViewBoard board;
    private final JsonRows rows;

    NowController(ViewBoard board, JsonRows rows) {
        this.rows = rows;
        this.board = board;
    }

    @GetMapping("/api/now")
    ViewBoard.Now now() {
        return board.now();
    }

    /** For each view the highest lag of every two minutes of the last hour, as this instance saw it. */
    @GetMapping("/api/now/lags")
    Map<String, List<@Nullable Double>> lags() {
        return board.lags();
    }

    /** For each view how long a step of its merges took, in milliseconds: the highest of the averages of every two minutes. */
    @GetMapping("/api/now/merge-times")
    Map<String, List<@Nullable Double>> mergeTimes() {
        return board.mergeTimes();
    }

    /** What was at work at a moment of the last hour: this instance's merges, and requested runs. */
    @GetMapping("/api/now/at")
    ViewBoard.Moment at(@RequestParam Instant time) {
        return board.at(time);
    }

    /** What tally.health finds wrong. */
    @GetMapping("/api/health")
    JsonRows.Page health(
            @RequestParam(defaultValue = "0") int after, @RequestParam(defaultValue = Limit.DEFAULT) int limit) {
        return rows.cut(board.problems(), after, limit, "/api/health");
    }
}
