package dev.countersink.ingest.message;

import dev.countersink.config.MessageSettings;
import io.airlift.compress.MalformedInputException;
import io.airlift.compress.zstd.ZstdInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.util.Locale;
import java.util.zip.GZIPInputStream;
import org.jspecify.annotations.Nullable;

/** The compression of a message. */
final class Encodings {
    private static final int BUFFER_BYTES = 16 * 1024;

    private Encodings() {}

    /** The uncompressed bytes, up to the limit in the settings. */
    static InputStream plain(Content content, @Nullable String contentEncoding, MessageSettings settings)
            throws IOException, DecodeException {
        String encoding = name(contentEncoding);
        long most = settings.maxInflated().toBytes();
        return switch (encoding) {
            case "", "identity" -> content.open();
            case "gzip", "x-gzip" -> new Bounded(new GZIPInputStream(content.open(), BUFFER_BYTES), most);
            case "zstd" -> new Bounded(new ZstdInputStream(content.open()), most);
            default ->
                throw DecodeException.undecodable(
                        "its Content-Encoding is \"" + contentEncoding + "\"; gzip, zstd and none are understood.");
        };
    }

    /** A sentence about a decompressor's failure. They raise nearly any exception if the bytes are invalid. */
    static DecodeException refusal(Exception e, @Nullable String contentEncoding) {
        if (e instanceof TooLargeException tooLarge) {
            return DecodeException.tooLarge(
                    "inflates to more than " + tooLarge.most() / (1024 * 1024) + " MB", "MAX_INFLATED");
        }
        if (e instanceof MissingObjectException) {
            return DecodeException.noObject(String.valueOf(e.getMessage()));
        }
        String encoding = name(contentEncoding);
        if (encoding.isEmpty() || encoding.equals("identity")) {
            return DecodeException.undecodable("its bytes cannot be read.");
        }
        if (e instanceof EOFException) {
            return DecodeException.undecodable("its " + encoding + " data end too early.");
        }
        if (e instanceof MalformedInputException
                && String.valueOf(e.getMessage()).startsWith("Window size")) {
            return DecodeException.undecodable(
                    "its zstd window is larger than 8 MB; compress it with a level of at most 19, without --long.");
        }
        return DecodeException.undecodable("it is not " + encoding + ", which its Content-Encoding says it is.");
    }

    private static String name(@Nullable String contentEncoding) {
        return contentEncoding == null ? "" : contentEncoding.strip().toLowerCase(Locale.ROOT);
    }

    private static final class Bounded extends InputStream {
        private final InputStream in;
        private final long most;
        private long read;

        Bounded(InputStream in, long most) {
            this.in = in;
            this.most = most;
        }

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            int count = read(one, 0, 1);
            return count < 0 ? -1 : one[0] & 0xff;
        }

        @Override
        public int read(byte[] target, int offset, int length) throws IOException {
            int count = in.read(target, offset, length);
            read += Math.max(count, 0);
            if (read > most) {
                throw new TooLargeException(most);
            }
            return count;
        }

        @Override
        public void close() throws IOException {
            in.close();
        }
    }
}
