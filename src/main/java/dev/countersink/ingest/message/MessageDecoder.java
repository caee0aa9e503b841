package dev.countersink.ingest.message;

import io.airlift.compress.zstd.ZstdInputStream;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.Locale;
import java.util.zip.GZIPInputStream;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.json.JsonFactory;

/**
 * Bytes to {@link MessageBody}, in one pass over the JSON. Whatever the bytes are, the only exception is
 * {@link DecodeException}. Thread-safe.
 */
public final class MessageDecoder {
    /** How large a compressed message may become. */
    public static final long MAX_INFLATED_BYTES = 256L * 1024 * 1024;

    private static final int SHOWN_LENGTH = 200;

    private final JsonFactory factory = JsonFactory.builder()
            .enable(StreamReadFeature.USE_FAST_DOUBLE_PARSER)
            .build();
    private final long maxInflatedBytes;

    /** @param maxInflatedBytes how large a compressed message may become */
    public MessageDecoder(long maxInflatedBytes) {
        this.maxInflatedBytes = maxInflatedBytes;
    }

    /** @param contentEncoding the header of that name, or null */
    public MessageBody decode(byte[] payload, String contentEncoding) throws DecodeException {
        MessageReader reader = null;
        try (JsonParser json = open(payload, contentEncoding)) {
            reader = new MessageReader(json);
            return reader.read();
        } catch (DecodeException e) {
            throw answerable(e, reader);
        } catch (TooLarge e) {
            throw answerable(tooLarge(), reader);
        } catch (JacksonException e) {
            boolean bomb = e.getCause() instanceof TooLarge;
            throw answerable(bomb ? tooLarge() : malformed(e), reader);
        } catch (IOException | RuntimeException e) {
            // The decompressors raise any of these when the bytes make no sense to them.
            throw answerable(DecodeException.undecodable(said(e.getMessage())), reader);
        }
    }

    private JsonParser open(byte[] payload, String contentEncoding) throws IOException, DecodeException {
        String encoding = contentEncoding == null ? "" : contentEncoding.strip().toLowerCase(Locale.ROOT);
        switch (encoding) {
            case "", "identity":
                return factory.createParser(ObjectReadContext.empty(), payload);
            case "gzip", "x-gzip":
                return inflating(new GZIPInputStream(new ByteArrayInputStream(payload)));
            case "zstd":
                return inflating(new ZstdInputStream(new ByteArrayInputStream(payload)));
            default:
                throw DecodeException.undecodable(
                        "its Content-Encoding is \"" + contentEncoding + "\"; gzip, zstd and none are understood.");
        }
    }

    private JsonParser inflating(InputStream inflated) {
        return factory.createParser(ObjectReadContext.empty(), new Bounded(inflated, maxInflatedBytes));
    }

    private static DecodeException answerable(DecodeException e, MessageReader reader) {
        boolean asked = reader != null && reader.replySubject() != null;
        return asked ? e.withReplySubject(reader.replySubject()) : e;
    }

    private DecodeException tooLarge() {
        return DecodeException.undecodable("it inflates to more than " + maxInflatedBytes + " bytes.");
    }

    private static DecodeException malformed(JacksonException e) {
        String place = e.getLocation() == null
                ? ""
                : " (line " + e.getLocation().getLineNr() + ", column "
                        + e.getLocation().getColumnNr() + ")";
        return DecodeException.undecodable(said(e.getOriginalMessage()) + place);
    }

    private static String said(String text) {
        if (text == null) {
            return "its bytes make no sense.";
        }
        String line = text.replace('\n', ' ');
        return line.length() <= SHOWN_LENGTH ? line : line.substring(0, SHOWN_LENGTH) + "…";
    }

    /** Says that the bound is reached; wrapped by the parser, for it reads ahead. */
    private static final class TooLarge extends IOException {
        private static final long serialVersionUID = 1L;
    }

    private static final class Bounded extends InputStream {
        private final InputStream in;
        private long left;

        Bounded(InputStream in, long limit) {
            this.in = in;
            this.left = limit;
        }

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            int read = read(one, 0, 1);
            return read < 0 ? -1 : one[0] & 0xff;
        }

        @Override
        public int read(byte[] target, int offset, int length) throws IOException {
            int read = in.read(target, offset, length);
            left -= Math.max(read, 0);
            if (left < 0) {
                throw new TooLarge();
            }
            return read;
        }

        @Override
        public void close() throws IOException {
            in.close();
        }
    }
}
