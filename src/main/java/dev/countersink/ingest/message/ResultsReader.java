package dev.countersink.ingest.message;

import dev.countersink.config.MessageSettings;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JsonParser;

/**
 * Reads one message: a result or an error, perhaps in an envelope; or several, as a list or in the field {@code results} of
 * an object. If a result in a list is unsuitable, the others are still read.
 */
final class ResultsReader {
    private static final long RESULT_BYTES = 200;

    private final JsonParser json;
    private final MemoryBudget budget;
    private final MessageReader result;
    private final JsonValues values;
    private @Nullable String replySubject;
    private @Nullable List<DecodedResult> list;
    private boolean anyObject;

    ResultsReader(JsonParser json, MemoryBudget budget, MessageSettings settings) {
        this.json = json;
        this.budget = budget;
        this.result = new MessageReader(json, budget, settings);
        this.values = result.values();
    }

    /** Where to answer about the message as a whole, if that was read already. */
    @Nullable
    String replySubject() {
        return list == null && result.replySubject() != null ? result.replySubject() : replySubject;
    }

    List<DecodedResult> read() throws DecodeException {
        json.nextToken();
        if (json.hasCurrentToken() && json.currentTokenLocation().getByteOffset() < 0) {
            throw DecodeException.undecodable("it is in UTF-16 or UTF-32, not in UTF-8.");
        }
        if (values.isArray()) {
            list("");
        } else {
            document();
        }
        if (json.nextToken() != null) {
            throw DecodeException.undecodable("something follows the document.");
        }
        if (list == null) {
            return List.of(new DecodedResult(result.finish(), null, null, null, budget.used()));
        }
        if (replySubject != null) {
            list.set(0, list.get(0).withReplySubject(replySubject));
        }
        return list;
    }

    private void document() throws DecodeException {
        values.expectObject();
        for (String field = values.nextField(); field != null; field = values.nextField()) {
            if (values.isArray() && (field.equals("results") || field.equals("result"))) {
                requireAlone();
                replySubject = result.replySubject();
                list("/" + field);
            } else {
                result.field(field);
            }
        }
        if (list != null) {
            requireAlone();
            replySubject = result.replySubject() != null ? result.replySubject() : replySubject;
        }
    }

    private void requireAlone() throws DecodeException {
        if (result.hasBody()) {
            throw DecodeException.undecodable("it is a result, and has a list of results beside it.");
        }
    }

    private void list(String place) throws DecodeException {
        if (list != null) {
            throw DecodeException.undecodable("it has two lists of results.");
        }
        list = new ArrayList<>();
        while (values.nextElement()) {
            String at = place + "/" + list.size();
            budget.take(RESULT_BYTES);
            list.add(element(at));
        }
        if (!anyObject) {
            throw DecodeException.undecodable(
                    (place.isEmpty() ? "the document" : place) + " is a list without any result in it.");
        }
        result.reset();
    }

    private DecodedResult element(String place) throws DecodeException {
        long from = json.currentTokenLocation().getByteOffset();
        long weightBefore = budget.used();
        int outside = values.depthOutside();
        MessageBody body = null;
        DecodeException fault = null;
        try {
            body = object();
        } catch (DecodeException e) {
            if (e.endsTheMessage()) {
                throw e;
            }
            fault = e.withReplySubject(result.replySubject());
            values.leave(outside);
        }
        json.finishToken();
        long to = json.currentLocation().getByteOffset();
        return new DecodedResult(body, fault, place, new DecodedResult.Span(from, to), budget.used() - weightBefore);
    }

    private MessageBody object() throws DecodeException {
        result.reset();
        values.expectObject();
        anyObject = true;
        for (String field = values.nextField(); field != null; field = values.nextField()) {
            result.field(field);
        }
        return result.finish();
    }
}
