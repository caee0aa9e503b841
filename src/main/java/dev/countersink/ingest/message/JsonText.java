package dev.countersink.ingest.message;

import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/** Writes a value of a document as JSON text without white space. */
final class JsonText {
    private JsonText() {}

    /** Reads the value that begins at the current token, and leaves the parser at its last token. */
    static String ofCurrent(JsonParser json, JsonValues values) throws DecodeException {
        StringBuilder text = new StringBuilder();
        int depth = 0;
        boolean first = true;
        for (JsonToken token = json.currentToken(); ; token = json.nextToken()) {
            boolean end = token.isStructEnd();
            if (!first && !end) {
                text.append(',');
            }
            append(text, json, token, values);
            if (token == JsonToken.PROPERTY_NAME) {
                first = true;
                continue;
            }
            depth += token.isStructStart() ? 1 : end ? -1 : 0;
            first = token.isStructStart();
            values.requireTextFits(text.length());
            if (depth == 0) {
                return text.toString();
            }
        }
    }

    private static void append(StringBuilder text, JsonParser json, JsonToken token, JsonValues values)
            throws DecodeException {
        switch (token) {
            case PROPERTY_NAME -> quote(text, json.currentName()).append(':');
            case VALUE_STRING -> quote(text, values.string());
            default -> text.append(json.getString());
        }
    }

    private static StringBuilder quote(StringBuilder text, String content) {
        text.append('"');
        for (int i = 0; i < content.length(); i++) {
            char c = content.charAt(i);
            if (c == '"' || c == '\\') {
                text.append('\\').append(c);
            } else {
                text.append(c < ' ' ? ' ' : c);
            }
        }
        return text.append('"');
    }
}
