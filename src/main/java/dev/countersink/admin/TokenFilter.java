package dev.countersink.admin;

import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import org.springframework.security.authentication.UsernamePasswordAuthenticationToken;
import org.springframework.security.core.authority.SimpleGrantedAuthority;
import org.springframework.security.core.context.SecurityContext;
import org.springframework.security.core.context.SecurityContextHolder;
import org.springframework.web.filter.OncePerRequestFilter;

/**
 * Accepts a request that carries a valid token, or the cookie of the dashboard, and bounds how many come. Which requests need
 * none is not decided here, and neither is what a role may do: see {@link RoleCheck}.
 */
final class TokenFilter extends OncePerRequestFilter {
    private final Access access;
    private final FailedLogins failures;
    private final RateLimit rate;
    private final ClientAddress address;
    private final AuditLog audit;
    private final ProblemWriter problems;

    TokenFilter(
            Access access,
            FailedLogins failures,
            RateLimit rate,
            ClientAddress address,
            AuditLog audit,
            ProblemWriter problems) {
        this.access = access;
        this.failures = failures;
        this.rate = rate;
        this.address = address;
        this.audit = audit;
        this.problems = problems;
    }

    @Override
    protected void doFilterInternal(HttpServletRequest request, HttpServletResponse response, FilterChain chain)
            throws ServletException, IOException {
        Optional<Caller> caller = access.caller(request);
        boolean wrong = caller.isEmpty() && access.isWrong(request);
        long wait = wrong ? failures.failed(address.of(request)) : 0;
        if (wait > 0) {
            problems.lockedOut(response, wait);
        } else if (caller.isPresent() && !rate.admits(caller.get())) {
            problems.tooFast(response);
        } else {
            if (wrong && SessionController.isSignIn(request)) {
                audit.failedSignIn(request);
            }
            caller.ifPresent(TokenFilter::authenticate);
            chain.doFilter(request, response);
        }
    }

    private static void authenticate(Caller caller) {
        SecurityContext context = SecurityContextHolder.createEmptyContext();
        context.setAuthentication(UsernamePasswordAuthenticationToken.authenticated(
                caller.name(),
                null,
                List.of(new SimpleGrantedAuthority(caller.role().toString()))));
        SecurityContextHolder.setContext(context);
    }
}
