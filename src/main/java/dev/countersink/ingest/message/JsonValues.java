package dev.countersink.ingest.message;

import dev.countersink.ingest.message.MessageBody.Numbers;
import java.time.DateTimeException;
import java.util.HashSet;
import java.util.Locale;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.exc.StreamConstraintsException;

/**
 * Reads single values of a JSON document. Each method expects the parser at the first token of the value, and leaves it at the
 * last. An unsuitable value raises a {@link DecodeException} that names its place. Memory for kept values is taken from the
 * budget.
 */
final class JsonValues {
    private static final int QUOTED = 60;
    private static final int LONGEST_PLACE = 200;
    /** A name is stored in an index, whose entries have 2,700 bytes at most. */
    private static final int LONGEST_NAME = 500;
    /** Estimated bytes for each field name, because the parser keeps those that it has read. */
    private static final int NAME_BYTES = 80;

    private static final int SHORTEST_SECONDS = 9;

    private final JsonParser json;
    private final MemoryBudget budget;
    private final int maxText;
    private final Set<String> unknownNames = new HashSet<>();

    JsonValues(JsonParser json, MemoryBudget budget, int maxText) {
        this.json = json;
        this.budget = budget;
        this.maxText = maxText;
    }

    boolean isNull() {
        return json.currentToken() == JsonToken.VALUE_NULL;
    }

    boolean isArray() {
        return json.currentToken() == JsonToken.START_ARRAY;
    }

    boolean isObject() {
        return json.currentToken() == JsonToken.START_OBJECT;
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

    /** Skips the value of an unknown field. */
    void skip(String field) throws DecodeException {
        rememberName(field);
        if (!json.currentToken().isStructStart()) {
            return;
        }
        int outside = depthOutside();
        while (depth() > outside) {
            if (json.nextToken() == JsonToken.PROPERTY_NAME) {
                rememberName(json.currentName());
            }
        }
    }

    private void rememberName(String name) throws DecodeException {
        if (unknownNames.add(name)) {
            budget.take(NAME_BYTES + 2L * name.length());
        }
    }

    /** The nesting depth outside of the value at the current token. */
    int depthOutside() {
        return json.currentToken().isStructStart() ? depth() - 1 : depth();
    }

    private int depth() {
        return json.streamReadContext().getNestingDepth();
    }

    /** Skips to the end of everything that is nested deeper than this. */
    void leave(int depth) {
        while (depth() > depth) {
            json.nextToken();
        }
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

    /** A string that PostgreSQL can store, or null. */
    @Nullable
    String text() throws DecodeException {
        if (isNull()) {
            return null;
        }
        expect(JsonToken.VALUE_STRING, "a string");
        String text = string();
        requireStorable(text);
        budget.text(text);
        return text;
    }

    /** The string at the current token, or the text of a token of another kind. */
    String string() throws DecodeException {
        try {
            return json.getString();
        } catch (StreamConstraintsException e) {
            throw DecodeException.tooLarge("has a text of more than " + maxText + " characters", "MAX_TEXT");
        }
    }

    private void requireStorable(String text) throws DecodeException {
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
    }

    /** A string that is not blank and fits into an index, or null. */
    @Nullable
    String name() throws DecodeException {
        String text = text();
        if (text != null && text.isBlank()) {
            throw unfit("not a name");
        }
        if (text != null && text.length() > LONGEST_NAME) {
            throw unfit("a name of more than " + LONGEST_NAME + " characters");
        }
        return text;
    }

    /** A text, or a list of texts joined to one; null if it is empty. Any other value is returned as JSON. */
    @Nullable
    String textOrList() throws DecodeException {
        StringBuilder text = new StringBuilder();
        if (isArray()) {
            while (nextElement()) {
                addText(text);
            }
        } else {
            addText(text);
        }
        return text.length() == 0 ? null : text.toString();
    }

    private void addText(StringBuilder all) throws DecodeException {
        if (isNull()) {
            return;
        }
        String text;
        if (json.currentToken() == JsonToken.VALUE_STRING) {
            text = string();
            requireStorable(text);
        } else {
            text = JsonText.ofCurrent(json, this);
            requireStorable(text);
        }
        if (text.isBlank()) {
            return;
        }
        requireTextFits(all.length() + text.length());
        budget.text(text);
        all.append(all.length() == 0 ? "" : "; ").append(text);
    }

    void requireTextFits(int length) throws DecodeException {
        if (length > maxText) {
            throw DecodeException.tooLarge("has a text of more than " + maxText + " characters", "MAX_TEXT");
        }
    }

    /** An id; null if there is none, or for an empty string. */
    @Nullable
    Long idOrNull() throws DecodeException {
        boolean none = isNull() || (json.currentToken() == JsonToken.VALUE_STRING && string().isBlank());
        return none ? null : (Long) id();
    }

    long id() throws DecodeException {
        if (json.currentToken() == JsonToken.VALUE_NUMBER_INT) {
            return integer(json.getString());
        }
        if (json.currentToken() == JsonToken.VALUE_STRING) {
            return integer(string().strip());
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
        double value = anyNumber();
        if (!Double.isFinite(value)) {
            throw unfit("not a finite number");
        }
        return value;
    }

    private double anyNumber() throws DecodeException {
        JsonToken token = json.currentToken();
        if (token == JsonToken.VALUE_NUMBER_FLOAT || token == JsonToken.VALUE_NUMBER_INT) {
            return json.getDoubleValue();
        }
        if (token == JsonToken.VALUE_STRING) {
            return decimal(string().strip());
        }
        throw unfit("not a number");
    }

    private double decimal(String text) throws DecodeException {
        try {
            if (isPlain(text)) {
                return Double.parseDouble(text);
            }
        } catch (NumberFormatException e) {
            // the exception is raised below
        }
        throw unfit("not a number");
    }

    /** Excludes forms that only Java accepts, such as "1d" and "0x1p3". */
    private static boolean isPlain(String text) {
        return !text.isEmpty() && text.chars().allMatch(c -> "0123456789+-.eE".indexOf(c) >= 0);
    }

    /** A boolean: true or false, 1 or 0, or a string with one of these. */
    boolean bool() throws DecodeException {
        String word = switch (json.currentToken()) {
            case VALUE_TRUE -> "true";
            case VALUE_FALSE -> "false";
            case VALUE_NUMBER_INT -> json.getString();
            case VALUE_STRING -> string().strip().toLowerCase(Locale.ROOT);
            default -> "";
        };
        return switch (word) {
            case "true", "1" -> true;
            case "false", "0" -> false;
            default -> throw unfit("neither true nor false");
        };
    }

    /** ISO 8601, or seconds since 1970. */
    long timestamp() throws DecodeException {
        JsonToken token = json.currentToken();
        try {
            if (token == JsonToken.VALUE_NUMBER_INT || token == JsonToken.VALUE_NUMBER_FLOAT) {
                return Timestamps.ofSeconds(json.getDoubleValue());
            }
            if (token == JsonToken.VALUE_STRING) {
                String text = string().strip();
                return isSeconds(text) ? Timestamps.ofSeconds(decimal(text)) : Timestamps.micros(text);
            }
        } catch (DateTimeException e) {
            // the exception is raised below
        }
        throw unfit("not a timestamp (ISO 8601, or seconds since 1970)");
    }

    /** With fewer digits, a year or a date may be meant. */
    private static boolean isSeconds(String text) {
        int digits = 0;
        while (digits < text.length() && text.charAt(digits) >= '0' && text.charAt(digits) <= '9') {
            digits++;
        }
        return digits >= SHORTEST_SECONDS && isPlain(text);
    }

    /** Reads finite numbers as float4. Returns the highest, in the message's precision, or negative infinity if there is none. */
    double scores(NumberReader into) throws DecodeException {
        into.begin();
        if (isNull()) {
            return Double.NEGATIVE_INFINITY;
        }
        expectArray();
        double max = Double.NEGATIVE_INFINITY;
        while (nextElement()) {
            budget.number();
            double value = number();
            into.add(float4(value), budget);
            max = Math.max(max, value);
        }
        return max;
    }

    /** Reads numbers as float4, with NaN and infinities. */
    Numbers logits(NumberReader into) throws DecodeException {
        into.begin();
        if (isNull()) {
            return Numbers.NONE;
        }
        expectArray();
        while (nextElement()) {
            budget.number();
            into.add(logit(), budget);
        }
        return into.end(budget);
    }

    private float logit() throws DecodeException {
        switch (json.currentToken()) {
            case VALUE_NULL:
                // Many JSON writers write null for NaN.
                return Float.NaN;
            case VALUE_NUMBER_FLOAT:
                return json.isNaN() ? extended(json.getString()) : float4(number());
            case VALUE_STRING:
                String text = string().strip();
                return isPlain(text) ? float4(number()) : extended(text);
            default:
                return float4(number());
        }
    }

    private float extended(String text) throws DecodeException {
        return switch (text.toLowerCase(Locale.ROOT)) {
            case "nan", "-nan", "+nan" -> Float.NaN;
            case "inf", "+inf", "infinity", "+infinity" -> Float.POSITIVE_INFINITY;
            case "-inf", "-infinity" -> Float.NEGATIVE_INFINITY;
            default -> throw unfit("not a number");
        };
    }

    private float float4(double value) throws DecodeException {
        float single = (float) value;
        if (Float.isInfinite(single)) {
            throw unfit("too large for a float4");
        }
        return single;
    }

    DecodeException missing(String field) {
        return DecodeException.undecodable(place() + " has no " + field + ".");
    }

    DecodeException unfit(String what) throws DecodeException {
        return DecodeException.undecodable(place() + " is " + current() + ", " + what + ".");
    }

    String place() {
        String path = json.streamReadContext().pathAsPointer().toString();
        return path.isEmpty() ? "the document" : shortened(path, LONGEST_PLACE);
    }

    private String current() throws DecodeException {
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
        String shown = shortened(string(), QUOTED);
        return token == JsonToken.VALUE_STRING ? '"' + shown + '"' : shown;
    }

    private static String shortened(String text, int length) {
        if (text.length() <= length) {
            return text;
        }
        // Do not cut a surrogate pair in half.
        int end = Character.isHighSurrogate(text.charAt(length - 1)) ? length - 1 : length;
        return text.substring(0, end) + "…";
    }
}
