package dev.countersink.ingest.message;

import dev.countersink.config.MessageSettings;
import java.io.IOException;
import java.io.InputStream;
import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.TokenStreamLocation;
import tools.jackson.core.exc.StreamConstraintsException;
import tools.jackson.core.exc.UnexpectedEndOfInputException;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.core.json.JsonReadFeature;

/**
 * Decodes bytes into results, in one pass over the JSON, within the memory that the settings allow. Whatever the bytes are, it
 * raises only {@link DecodeException}, with our own sentences. Thread-safe.
 */
public final class MessageDecoder {
    private static final int DEEPEST = 100;

    private final MessageSettings settings;
    private final ObjectSource objects;
    private final JsonFactory factory;

    /** Makes a decoder without objects: a message that refers to one cannot be decoded. */
    public MessageDecoder(MessageSettings settings) {
        this(settings, (bucket, name, most) -> {
            throw new MissingObjectException(bucket, name);
        });
    }

    /** @param objects the objects that messages refer to */
    public MessageDecoder(MessageSettings settings, ObjectSource objects) {
        this.settings = settings;
        this.objects = objects;
        this.factory = JsonFactory.builder()
                .enable(StreamReadFeature.USE_FAST_DOUBLE_PARSER)
                .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
                .streamReadConstraints(StreamReadConstraints.builder()
                        .maxNestingDepth(DEEPEST)
                        .maxStringLength(settings.maxText())
                        .build())
                .build();
    }

    MessageSettings settings() {
        return settings;
    }

    /** The object that a header names. */
    ObjectReference object(String header) throws DecodeException {
        return ObjectReference.of(header, objects, settings.maxInflated().toBytes());
    }

    /**
     * Reads a message.
     *
     * @return its results, each with its own fault, in the order of the message; at least one
     * @throws DecodeException if the message as a whole cannot be read
     */
    List<DecodedResult> decode(Content content, @Nullable String contentEncoding) throws DecodeException {
        MemoryBudget budget = new MemoryBudget(settings);
        ResultsReader reader = null;
        try (InputStream plain = Encodings.plain(content, contentEncoding, settings);
                JsonParser json = factory.createParser(ObjectReadContext.empty(), plain)) {
            reader = new ResultsReader(json, budget, settings);
            return reader.read();
        } catch (DecodeException e) {
            throw answerable(e, reader);
        } catch (JacksonException e) {
            throw answerable(refusal(e, contentEncoding), reader);
        } catch (ContentUnavailableException e) {
            throw e;
        } catch (IOException | RuntimeException e) {
            throw answerable(Encodings.refusal(e, contentEncoding), reader);
        }
    }

    private static DecodeException answerable(DecodeException e, @Nullable ResultsReader reader) {
        String asked = reader == null ? null : reader.replySubject();
        return asked == null ? e : e.withReplySubject(asked);
    }

    private DecodeException refusal(JacksonException e, @Nullable String contentEncoding) {
        if (e.getCause() instanceof IOException cause) {
            return Encodings.refusal(cause, contentEncoding);
        }
        String place = place(e.getLocation());
        if (e instanceof StreamConstraintsException) {
            return DecodeException.undecodable("it is nested more than " + DEEPEST
                    + " levels deep, or a name or number in it is too long" + place + ".");
        }
        if (e instanceof UnexpectedEndOfInputException) {
            return DecodeException.undecodable("it ends in the middle of the document" + place + ".");
        }
        return DecodeException.undecodable("it is not JSON" + place + ".");
    }

    private static String place(TokenStreamLocation at) {
        return at == null ? "" : " (line " + at.getLineNr() + ", column " + at.getColumnNr() + ")";
    }
}
