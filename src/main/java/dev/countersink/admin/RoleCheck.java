package dev.countersink.admin;

import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpStatus;
import org.springframework.web.method.HandlerMethod;
import org.springframework.web.servlet.HandlerInterceptor;

/** Refuses what the role of the caller may not do, and has the audit log note what changes something. */
final class RoleCheck implements HandlerInterceptor {
    private static final Set<String> READING = Set.of("GET", "HEAD", "OPTIONS", "TRACE");

    private final Access access;
    private final AuditLog audit;

    RoleCheck(Access access, AuditLog audit) {
        this.access = access;
        this.audit = audit;
    }

    /** Nobody calls only what is open to anybody: everything else is refused before. */
    @Override
    public boolean preHandle(HttpServletRequest request, HttpServletResponse response, Object handler) {
        Optional<Caller> caller = access.caller(request);
        if (caller.isPresent() && handler instanceof HandlerMethod method) {
            boolean reads = READING.contains(request.getMethod());
            @Nullable Needs needs = method.getMethodAnnotation(Needs.class);
            if (!reads) {
                if (needs == null || needs.auditedFirst()) {
                    audit.begin(request, caller.get());
                } else {
                    audit.later(request, caller.get());
                }
            }
            Role needed = needed(needs, reads);
            if (!caller.get().role().includes(needed)) {
                // Nobody else does: afterCompletion is only for what has passed this.
                audit.end(request, HttpStatus.FORBIDDEN.value());
                throw RefusedException.role(needed, caller.get());
            }
        }
        return true;
    }

    static Role needed(@Nullable Needs needs, boolean reads) {
        if (needs != null) {
            return needs.value();
        }
        return reads ? Role.READER : Role.OWNER;
    }

    @Override
    public void afterCompletion(
            HttpServletRequest request, HttpServletResponse response, Object handler, @Nullable Exception failure) {
        audit.end(request, response.getStatus());
    }
}
