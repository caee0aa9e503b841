package dev.countersink.ingest.message;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Splits a list of JSON documents, alone or as {@code {"results": […]}}, into its entries without parsing them. The bytes of
 * an entry are kept as they are. A broken entry does not affect the others. Only one is in memory. Not thread-safe.
 */
public final class ResultList {
    private static final int BUFFER_BYTES = 64 * 1024;
    private static final int FIRST_BYTES = 4 * 1024;
    private static final int DEEPEST = 1000;
    private static final String KEY = "results";
    private static final String CUT_OFF = "The body ends before the list does.";
    private static final int[] BYTE_ORDER_MARK = {0xEF, 0xBB, 0xBF};

    private final InputStream in;
    private final int mostBytes;
    private final byte[] buffer = new byte[BUFFER_BYTES];
    private int at;
    private int end;
    private int index = -1;
    private boolean begun;
    private boolean over;
    /** Whether the list's last bracket comes next. */
    private boolean closing;
    /** Whether the body has ended too early, and this was not said yet. */
    private boolean cutOff;
    /** Whether the list is a field of an object. */
    private boolean inside;

    /** @param mostBytes the limit of an entry; a larger one is skipped */
    public ResultList(InputStream in, int mostBytes) {
        this.in = in;
        this.mostBytes = mostBytes;
    }

    /**
     * An entry.
     *
     * @param index its index, from 0
     * @param bytes null if there is a fault
     * @param fault why there are no bytes, as a sentence, or null
     */
    public record Entry(
            int index, byte @Nullable [] bytes, @Nullable String fault) {}

    /** The body is not such a list. */
    public static final class NotAListException extends IOException {
        private static final long serialVersionUID = 1L;

        NotAListException(String sentence) {
            super(sentence);
        }
    }

    /**
     * The next entry, or null after the last one.
     *
     * @throws NotAListException if the body is not a list, or more than one; entries returned before remain valid
     */
    public @Nullable Entry next() throws IOException {
        if (!begun) {
            begun = true;
            begin();
        }
        if (closing) {
            closing = false;
            finish();
        }
        if (cutOff) {
            cutOff = false;
            return new Entry(++index, null, CUT_OFF);
        }
        if (over) {
            return null;
        }
        int c = skipBlanks();
        if (c == ']' && index < 0) {
            closing = true;
            return next();
        }
        index++;
        return entry(c);
    }

    /** Reads what follows the list: a second one must not be lost in silence. */
    private void finish() throws IOException {
        over = true;
        at++;
        int c = skipBlanks();
        while (inside && c == ',') {
            at++;
            c = skipBlanks();
            if (c != '"') {
                break;
            }
            if (name().equals(KEY)) {
                throw new NotAListException("The body has \"results\" twice.");
            }
            if (skipBlanks() == ':') {
                at++;
                skipBlanks();
                new Scan(false).value();
            }
            c = skipBlanks();
        }
        if (inside && c == '}') {
            at++;
            c = skipBlanks();
        } else if (inside && c < 0) {
            cutOff = true;
            return;
        }
        if (c >= 0) {
            throw new NotAListException("Something follows the list of results.");
        }
    }

    private void begin() throws IOException {
        int c = skipBlanks();
        for (int i = 0; i < BYTE_ORDER_MARK.length && c == BYTE_ORDER_MARK[i]; i++) {
            at++;
            c = i + 1 == BYTE_ORDER_MARK.length ? skipBlanks() : peek();
        }
        if (c == '[') {
            at++;
        } else if (c == '{') {
            at++;
            inside = true;
            findResults();
        } else {
            throw new NotAListException(
                    c < 0 ? "The body is empty." : "The body is neither a list nor an object with \"results\".");
        }
    }

    private void findResults() throws IOException {
        while (true) {
            int c = skipBlanks();
            if (c == ',') {
                at++;
                c = skipBlanks();
            }
            if (c != '"') {
                throw new NotAListException("The body is an object without \"results\".");
            }
            String name = name();
            if (skipBlanks() != ':') {
                throw new NotAListException("The body is not JSON before its \"results\".");
            }
            at++;
            c = skipBlanks();
            if (!name.equals(KEY)) {
                new Scan(false).value();
            } else if (c == '[') {
                at++;
                return;
            } else {
                throw new NotAListException("The \"results\" of the body are not a list.");
            }
        }
    }

    private String name() throws IOException {
        ByteArrayOutputStream name = new ByteArrayOutputStream();
        at++;
        for (int c = read(); c != '"'; c = read()) {
            if (c < 0) {
                throw new NotAListException("The body ends before its \"results\".");
            }
            if (name.size() <= KEY.length()) {
                name.write(c);
            }
        }
        return name.toString(StandardCharsets.UTF_8);
    }

    private Entry entry(int first) throws IOException {
        if (first == ',' || first == ']') {
            separate(first);
            return new Entry(index, null, "There is nothing between two commas.");
        }
        Scan scan = new Scan(true);
        scan.value();
        if (peek() < 0 && scan.kept == 0 && !scan.tooLarge) {
            over = true;
            return new Entry(index, null, CUT_OFF);
        }
        separate(peek());
        if (scan.tooLarge) {
            return new Entry(
                    index,
                    null,
                    "It has more than " + mostBytes + " bytes, the most that the NATS server takes in a message.");
        }
        return new Entry(index, Arrays.copyOf(scan.bytes, scan.kept), null);
    }

    private void separate(int c) {
        if (c == ',') {
            at++;
        } else {
            over = true;
            closing = c == ']';
            cutOff = c < 0;
        }
    }

    /** Skips a value up to the comma or bracket after it, whatever it consists of. */
    private final class Scan {
        private final boolean keeping;
        private byte[] bytes = new byte[FIRST_BYTES];
        private int kept;
        private final byte[] open = new byte[DEEPEST];
        private int depth;
        private boolean tooLarge;

        Scan(boolean keeping) {
            this.keeping = keeping;
        }

        void value() throws IOException {
            for (int c = peek(); c >= 0; c = peek()) {
                if (depth == 0 && (c == ',' || c == ']' || (c == '}' && !keeping))) {
                    return;
                }
                if (c == ']' && !isOpen('[')) {
                    // The entry has no open bracket, so this one closes the list: the entry is broken.
                    return;
                }
                at++;
                keep(c);
                if (c == '"') {
                    string();
                } else if (c == '{' || c == '[') {
                    if (depth < DEEPEST) {
                        open[depth] = (byte) c;
                    }
                    depth++;
                } else if (c == '}' || c == ']') {
                    close(c == '}' ? '{' : '[');
                }
            }
        }

        /** Skips a string. JSON strings have no line breaks, so a string with one was never closed. */
        private void string() throws IOException {
            boolean escaped = false;
            for (int c = read(); c >= 0; c = read()) {
                keep(c);
                if (c == '\n' || (c == '"' && !escaped)) {
                    return;
                }
                escaped = c == '\\' && !escaped;
            }
        }

        private boolean isOpen(char bracket) {
            if (depth > DEEPEST) {
                return true;
            }
            for (int i = depth - 1; i >= 0; i--) {
                if (open[i] == bracket) {
                    return true;
                }
            }
            return false;
        }

        /** Closes a bracket, and brackets inside it that were left open. */
        private void close(char bracket) {
            if (depth > DEEPEST) {
                depth--;
                return;
            }
            if (!isOpen(bracket)) {
                return;
            }
            do {
                depth--;
            } while (open[depth] != bracket);
        }

        private void keep(int c) {
            if (!keeping || tooLarge) {
                return;
            }
            if (kept == mostBytes) {
                tooLarge = true;
                return;
            }
            if (kept == bytes.length) {
                bytes = Arrays.copyOf(bytes, (int) Math.min(mostBytes, 2L * kept));
            }
            bytes[kept++] = (byte) c;
        }
    }

    private int skipBlanks() throws IOException {
        int c = peek();
        while (c == ' ' || c == '\n' || c == '\r' || c == '\t') {
            at++;
            c = peek();
        }
        return c;
    }

    private int read() throws IOException {
        int c = peek();
        at++;
        return c;
    }

    private int peek() throws IOException {
        if (at < end) {
            return buffer[at] & 0xff;
        }
        if (end < 0) {
            return -1;
        }
        end = in.read(buffer, 0, buffer.length);
        at = 0;
        return end <= 0 ? -1 : buffer[0] & 0xff;
    }
}
