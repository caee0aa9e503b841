package dev.countersink.admin;

import dev.countersink.db.ControlDb;
import java.util.Locale;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.DeleteMapping;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

/** Transactions of anybody in this database that hold things up: old ones, and those that others wait for. */
@RestController
@RequestMapping("/api/transactions")
class TransactionsController {
    private final ControlDb control;
    private final JsonRows rows;

    TransactionsController(ControlDb control, JsonRows rows) {
        this.control = control;
        this.rows = rows;
    }

    @GetMapping
    JsonRows.Page transactions(
            @RequestParam(defaultValue = "0") int after, @RequestParam(defaultValue = Limit.DEFAULT) int limit) {
        return rows.slice(control.transactions(), after, limit, "/api/transactions");
    }

    /**
     * Cancels its statement, or ends its session if that is idle.
     *
     * @param since as the list has it: whoever has the same pid by now is left alone
     */
    @DeleteMapping("/{pid}")
    @Needs(Role.OPERATOR)
    ResponseEntity<Void> end(@PathVariable int pid, @RequestParam String since) {
        if (!control.endTransaction(pid, since)) {
            throw new NotFoundException(
                    Problems.NO_DATA,
                    String.format(Locale.ROOT, "The transaction of session %d is over.", pid),
                    "GET /api/transactions lists those there are.");
        }
        return ResponseEntity.noContent().build();
    }
}
