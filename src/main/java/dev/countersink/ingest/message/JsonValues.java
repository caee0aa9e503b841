package dev.countersink.ingest.message;

import java.time.DateTimeException;
import java.util.Arrays;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/**
 * Reads single values of a JSON document: each method expects the parser on the value's first token and leaves it on its
 * last. What does not fit becomes a {@link DecodeException} that names the place.
 */
final class JsonValues {
    private static final int QUOTED = 60;

    private final JsonParser json;
    private float[] buffer = new float[16];

    JsonValues(JsonParser json) {
        this.json = json;
    }

    boolean isNull() {
        return json.currentToken() == JsonToken.VALUE_NULL;
    }

    /** Moves to the next field's value and returns its name, or null at the end of the object. */
    String nextField() {
        String name = json.nextName();
        if (name != null) {
            json.nextToken();
        }
        return name;
    }

    /** Moves to the next element, or returns false at the end of the array. */
    boolean nextElement() {
        return json.nextToken() != JsonToken.END_ARRAY;
    }

    void skip() {
        json.skipChildren();
    }

    void expectObject() throws DecodeException {
        expect(JsonToken.START_OBJECT, "an object");
    }

    void expectArray() throws DecodeException {
        expect(JsonToken.START_ARRAY, "an array");
    }

    private void expect(JsonToken token, String what) throws DecodeException {
        if (json.currentToken() != token) {
            throw unfit("not " + what);
        }
    }

    /** A string that the database can hold, or null. */
    String text() throws DecodeException {
        if (isNull()) {
            return null;
        }
        expect(JsonToken.VALUE_STRING, "a string");
        String text = json.getString();
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c == 0) {
                throw unfit("a string with a NUL character");
            }
            if (Character.isSurrogate(c)) {
                boolean pair = Character.isHighSurrogate(c)
                        && i + 1 < text.length()
                        && Character.isLowSurrogate(text.charAt(i + 1));
                if (!pair) {
                    throw unfit("a string with half a character (a surrogate without its pair)");
                }
                i++;
            }
        }
        return text;
    }

    /** A string that says something, or null. */
    String name() throws DecodeException {
        String text = text();
        if (text != null && text.isBlank()) {
            throw unfit("not a name");
        }
        return text;
    }

    long id() throws DecodeException {
        if (json.currentToken() == JsonToken.VALUE_NUMBER_INT) {
            return integer(json.getString());
        }
        if (json.currentToken() == JsonToken.VALUE_STRING) {
            return integer(json.getString().strip());
        }
        throw unfit("not a whole number");
    }

    private long integer(String digits) throws DecodeException {
        try {
            return Long.parseLong(digits);
        } catch (NumberFormatException e) {
            throw unfit("not a whole number of 64 bits");
        }
    }

    /** A finite number. */
    double number() throws DecodeException {
        double value;
        JsonToken token = json.currentToken();
        if (token == JsonToken.VALUE_NUMBER_FLOAT || token == JsonToken.VALUE_NUMBER_INT) {
            value = json.getDoubleValue();
        } else if (token == JsonToken.VALUE_STRING) {
            value = decimal(json.getString());
        } else {
            throw unfit("not a number");
        }
        if (!Double.isFinite(value)) {
            throw unfit("not a finite number");
        }
        return value;
    }

    private double decimal(String text) throws DecodeException {
        String digits = text.strip();
        // Java alone would take "1d" and "0x1p3".
        boolean plain = !digits.isEmpty() && digits.chars().allMatch(c -> "0123456789+-.eE".indexOf(c) >= 0);
        try {
            if (plain) {
                return Double.parseDouble(digits);
            }
        } catch (NumberFormatException e) {
            // said below
        }
        throw unfit("not a number");
    }

    boolean bool() throws DecodeException {
        JsonToken token = json.currentToken();
        if (token == JsonToken.VALUE_TRUE || token == JsonToken.VALUE_FALSE) {
            return token == JsonToken.VALUE_TRUE;
        }
        throw unfit("neither true nor false");
    }

    long timestamp() throws DecodeException {
        expect(JsonToken.VALUE_STRING, "an ISO 8601 timestamp");
        try {
            return Timestamps.micros(json.getString().strip());
        } catch (DateTimeException e) {
            throw unfit("not an ISO 8601 timestamp");
        }
    }

    /** Numbers as float4, with the highest as it stood in the message; null for none. */
    Floats floats() throws DecodeException {
        if (isNull()) {
            return null;
        }
        expectArray();
        int length = 0;
        double max = Double.NEGATIVE_INFINITY;
        while (nextElement()) {
            double value = number();
            float single = (float) value;
            if (Float.isInfinite(single)) {
                throw unfit("too large for a float4");
            }
            if (length == buffer.length) {
                buffer = Arrays.copyOf(buffer, length * 2);
            }
            buffer[length++] = single;
            max = Math.max(max, value);
        }
        return length == 0 ? null : new Floats(Arrays.copyOf(buffer, length), max);
    }

    record Floats(float[] values, double max) {}

    DecodeException missing(String field) {
        return DecodeException.undecodable(place() + " has no " + field + ".");
    }

    DecodeException unfit(String what) {
        return DecodeException.undecodable(place() + " is " + current() + ", " + what + ".");
    }

    String place() {
        String path = json.streamReadContext().pathAsPointer().toString();
        return path.isEmpty() ? "the document" : path;
    }

    private String current() {
        JsonToken token = json.currentToken();
        if (token == null) {
            return "empty";
        }
        if (token == JsonToken.START_OBJECT) {
            return "an object";
        }
        if (token == JsonToken.START_ARRAY) {
            return "an array";
        }
        String text = json.getString();
        String shown = text.length() <= QUOTED ? text : text.substring(0, QUOTED) + "…";
        return token == JsonToken.VALUE_STRING ? '"' + shown + '"' : shown;
    }
}
