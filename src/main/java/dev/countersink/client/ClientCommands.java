package dev.countersink.client;

import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** The commands, each of which is a call of the API or a few. */
public final class ClientCommands {
    private static final String ALL = "1000000000";

    private ClientCommands() {}

    private static ObjectNode object() {
        return JsonMapper.shared().createObjectNode();
    }

    private static String view(String name) {
        return "/api/views/" + ApiClient.encode(name);
    }

    /** Fresh and right, or not. */
    @Command(
            name = "status",
            description = "Whether every view is fresh and right; the exit status is 1 if something is bad.")
    public static final class Status extends ClientCommand {
        @Override
        int execute(ApiClient api) {
            JsonNode now = api.get("/api/now");
            if (wantsJson()) {
                out().println(now.toString());
            } else {
                out().println(Table.text(now.path("level")) + ": " + Table.text(now.path("sentence")));
                for (JsonNode finding : now.path("findings")) {
                    out().println(String.format(
                            Locale.ROOT,
                            "  %s: %s %s",
                            Table.text(finding.path("level")),
                            Table.text(finding.path("sentence")),
                            Table.text(finding.path("remedy"))));
                }
            }
            return "bad".equals(now.path("level").asString("")) ? ClientException.REFUSED : 0;
        }
    }

    /** All derived views. */
    @Command(name = "views", description = "Derived views with their state, pending changes and lag.")
    public static final class Views extends ClientCommand {
        @Override
        int execute(ApiClient api) {
            print(
                    api.list("/api/views?limit=500", Integer.MAX_VALUE),
                    List.of("name", "kind", "state", "pending", "lag", "quarantined", "last_merge_at"));
            return 0;
        }
    }

    /** One of them. */
    @Command(name = "view", description = "One derived view: its state and schedule.")
    public static final class View extends ClientCommand {
        @Parameters(paramLabel = "NAME", description = "its name, as SQL would quote it")
        private String name = "";

        @Override
        int execute(ApiClient api) {
            print(api.get(view(name)));
            return 0;
        }
    }

    /** Merges what is pending. */
    @Command(name = "refresh", description = "Merges what is pending for some views, and waits for it.")
    public static final class Refresh extends RunCommand {
        @Parameters(paramLabel = "VIEW", arity = "1..*", description = "their names")
        private List<String> views = new ArrayList<>();

        @Override
        List<Long> request(ApiClient api) {
            ObjectNode body = object();
            views.forEach(body.putArray("views")::add);
            List<Long> runs = new ArrayList<>();
            api.send("POST", "/api/refresh", body)
                    .path("runs")
                    .forEach(run -> runs.add(run.path("run").asLong()));
            return runs;
        }
    }

    /** Compares stored rows with the definition. */
    @Command(
            name = "verify",
            description =
                    "Compares the stored rows of a view with its definition; the exit status is 1 if they differ.")
    public static final class Verify extends RunCommand {
        @Parameters(paramLabel = "VIEW", description = "its name")
        private String name = "";

        @Option(names = "--sample", paramLabel = "SHARE", description = "of the keys, up to 1; without it all")
        private @Nullable Double sample;

        @Override
        List<Long> request(ApiClient api) {
            String query = sample == null ? "" : "?sample=" + sample;
            return List.of(api.send("POST", view(name) + "/verify" + query, null)
                    .path("run")
                    .asLong());
        }
    }

    /** What was requested. */
    @Command(name = "runs", description = "Requested runs, the newest first.")
    public static final class RunsOf extends ClientCommand {
        @Option(names = "--view", paramLabel = "VIEW", description = "only its runs")
        private @Nullable String view;

        @Option(names = "--state", paramLabel = "STATE", description = "queued, running, done or failed")
        private @Nullable String state;

        @Option(names = "--since", paramLabel = "TIME", description = "as in 2027-01-01T00:00:00Z")
        private @Nullable String since;

        @Option(names = "--limit", paramLabel = "N", defaultValue = "20", description = "rows (${DEFAULT-VALUE})")
        private int limit;

        @Override
        int execute(ApiClient api) {
            StringBuilder path = new StringBuilder("/api/runs?limit=").append(Math.min(Math.max(limit, 1), 500));
            append(path, "view", view);
            append(path, "state", state);
            append(path, "since", since);
            print(
                    api.list(path.toString(), limit),
                    List.of("id", "view", "action", "state", "requested_at", "finished_at", "error"));
            return 0;
        }

        private static void append(StringBuilder path, String name, @Nullable String value) {
            if (value != null) {
                path.append('&').append(name).append('=').append(ApiClient.encode(value));
            }
        }
    }

    /** Jobs of the ingestion. */
    @Command(name = "jobs", description = "Jobs with their progress.")
    public static final class Jobs extends ClientCommand {
        @Option(names = "--limit", paramLabel = "N", defaultValue = ALL, description = "rows; without it all")
        private int limit;

        @Override
        int execute(ApiClient api) {
            print(
                    api.list("/api/jobs?limit=500", limit),
                    List.of("id", "name", "state", "total", "processed", "failed", "started_at", "finished_at"));
            return 0;
        }
    }

    /** Messages that could not be applied. */
    @Command(name = "dead-letters", description = "Messages that could not be applied, with the reason.")
    public static final class DeadLetters extends ClientCommand {
        @Option(names = "--limit", paramLabel = "N", defaultValue = ALL, description = "rows; without it all")
        private int limit;

        @Override
        int execute(ApiClient api) {
            print(
                    api.list("/api/dead-letters?limit=500", limit),
                    List.of("id", "subject", "sqlstate", "reason", "replayed_at"));
            return 0;
        }
    }

    /** Applies one again. */
    @Command(name = "replay", description = "Applies a message that could not be applied again, and waits for it.")
    public static final class Replay extends RunCommand {
        @Parameters(paramLabel = "ID", description = "of the dead letter")
        private long id;

        @Override
        List<Long> request(ApiClient api) {
            return List.of(api.send("POST", "/api/dead-letters/" + id + "/replay", null)
                    .path("run")
                    .asLong());
        }
    }

    /** Who may call. */
    @Command(
            name = "tokens",
            description = "Named tokens: lists them, makes and revokes them. It needs the token of an owner.",
            subcommands = {AddToken.class, ListTokens.class, RevokeToken.class})
    public static final class Tokens implements Runnable {
        @Spec
        @SuppressWarnings("NullAway.Init") // picocli sets it before run()
        private CommandSpec spec;

        @Override
        public void run() {
            throw new ParameterException(spec.commandLine(), "Name one of add, list and revoke.");
        }
    }

    /** Makes one. */
    @Command(name = "add", description = "Makes a token and prints it: it is stored nowhere.")
    static final class AddToken extends ClientCommand {
        private static final Set<String> ROLES = Set.of("reader", "operator", "owner");

        @Parameters(paramLabel = "NAME", description = "lower-case letters, digits, dots, dashes, underscores")
        private String name = "";

        @Option(names = "--role", required = true, paramLabel = "ROLE", description = "reader, operator or owner")
        private String role = "";

        @Option(names = "--days", paramLabel = "N", description = "after which it expires; without it never")
        private @Nullable Integer days;

        @Override
        int execute(ApiClient api) {
            if (!ROLES.contains(role)) {
                throw misused("--role takes reader, operator or owner, not '" + role + "'.");
            }
            ObjectNode body = object().put("name", name).put("role", role);
            if (days != null) {
                body.put(
                        "expires",
                        Instant.now()
                                .plus(Duration.ofDays(days))
                                .truncatedTo(ChronoUnit.SECONDS)
                                .toString());
            }
            JsonNode made = api.send("POST", "/api/tokens", body);
            out().println(wantsJson() ? made.toString() : made.path("token").asString());
            return 0;
        }
    }

    /** Lists them. */
    @Command(name = "list", description = "Lists them, without what they are.")
    static final class ListTokens extends ClientCommand {
        @Override
        int execute(ApiClient api) {
            print(
                    api.list("/api/tokens?limit=500", Integer.MAX_VALUE),
                    List.of("name", "role", "made_at", "made_by", "expires_at", "expired"));
            return 0;
        }
    }

    /** Ends one. */
    @Command(name = "revoke", description = "Ends one; it stops working within two seconds.")
    static final class RevokeToken extends ClientCommand {
        @Parameters(paramLabel = "NAME", description = "of the token")
        private String name = "";

        @Override
        int execute(ApiClient api) {
            api.send("DELETE", "/api/tokens/" + ApiClient.encode(name), null);
            if (!wantsJson()) {
                out().println("The token " + name + " is revoked.");
            }
            return 0;
        }
    }
}
