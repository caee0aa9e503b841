package dev.countersink.client;

import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Option;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** A command that requests runs and waits for them. */
abstract class RunCommand extends ClientCommand {
    @Option(names = "--no-wait", description = "return as soon as it is accepted")
    private boolean noWait;

    /** Requests them, and returns their ids. */
    abstract List<Long> request(ApiClient api);

    @Override
    final int execute(ApiClient api) {
        List<JsonNode> runs = new ArrayList<>();
        for (long run : request(api)) {
            runs.add(noWait ? api.get("/api/runs/" + run) : Runs.await(api, run));
        }
        if (wantsJson()) {
            ObjectNode all = JsonMapper.shared().createObjectNode();
            runs.forEach(all.putArray("items")::add);
            out().println(all.toString());
        }
        int status = 0;
        for (JsonNode run : runs) {
            if (!wantsJson()) {
                out().println(Runs.sentence(run));
            }
            status = Math.max(status, Runs.status(run));
        }
        return status;
    }
}
