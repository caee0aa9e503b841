package dev.countersink.admin;

import dev.countersink.db.ControlDb;
import jakarta.servlet.http.HttpServletRequest;
import java.util.Locale;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.DeleteMapping;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

/**
 * Transactions of anybody in this database that hold things up: old ones, and those that others wait for. A reader does not
 * see the statements of other roles: values are in them.
 */
@RestController
@RequestMapping("/api/transactions")
class TransactionsController {
    private final ControlDb control;
    private final Access access;
    private final JsonRows rows;

    TransactionsController(ControlDb control, Access access, JsonRows rows) {
        this.control = control;
        this.access = access;
        this.rows = rows;
    }

    @GetMapping
    JsonRows.Page transactions(
            @RequestParam(defaultValue = "0") int after,
            @RequestParam(defaultValue = Limit.DEFAULT) int limit,
            HttpServletRequest request) {
        return rows.slice(
                control.transactions(access.includes(request, Role.OPERATOR)), after, limit, "/api/transactions");
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
