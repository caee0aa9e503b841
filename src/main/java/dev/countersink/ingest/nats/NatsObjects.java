package dev.countersink.ingest.nats;

import dev.countersink.ingest.message.ContentUnavailableException;
import dev.countersink.ingest.message.MissingObjectException;
import dev.countersink.ingest.message.ObjectReference;
import dev.countersink.ingest.message.ObjectSource;
import dev.countersink.ingest.message.TooLargeException;
import io.nats.client.Connection;
import io.nats.client.JetStreamApiException;
import io.nats.client.JetStreamOptions;
import io.nats.client.ObjectStore;
import io.nats.client.ObjectStoreOptions;
import io.nats.client.api.ObjectInfo;
import io.nats.client.api.ObjectMeta;
import io.nats.client.impl.Headers;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.NoSuchAlgorithmException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Objects of JetStream's object store. An object is read by way of a temporary file, so it is never in memory as a whole. */
public final class NatsObjects implements ObjectSource {
    private static final Logger LOG = LoggerFactory.getLogger(NatsObjects.class);
    private static final int NOT_FOUND = 404;
    private static final String APPLIED = "Countersink-Applied";

    private final Connection connection;
    private final ObjectStoreOptions options;

    public NatsObjects(Connection connection, JetStreamOptions options) {
        this.connection = connection;
        this.options = ObjectStoreOptions.builder().jetStreamOptions(options).build();
    }

    @Override
    public Found open(String bucket, String name, long most) throws IOException {
        try {
            ObjectStore store = connection.objectStore(bucket, options);
            ObjectInfo info = store.getInfo(name, true);
            if (info == null || info.isDeleted()) {
                throw new MissingObjectException(bucket, name, appliedFor(info));
            }
            if (info.getSize() > most) {
                throw new TooLargeException(most);
            }
            return new Found(download(store, name), String.valueOf(info.getNuid()));
        } catch (JetStreamApiException e) {
            if (e.getErrorCode() == NOT_FOUND) {
                throw new MissingObjectException(bucket, name);
            }
            throw unavailable(bucket, name, e);
        } catch (MissingObjectException | TooLargeException e) {
            throw e;
        } catch (IOException | IllegalStateException | NoSuchAlgorithmException e) {
            throw unavailable(bucket, name, e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw unavailable(bucket, name, e);
        }
    }

    private static InputStream download(ObjectStore store, String name)
            throws IOException, JetStreamApiException, InterruptedException, NoSuchAlgorithmException {
        Path file = Files.createTempFile("countersink-", ".object");
        boolean complete = false;
        try {
            try (OutputStream out = Files.newOutputStream(file)) {
                store.get(name, out);
            }
            InputStream in = Files.newInputStream(file, StandardOpenOption.DELETE_ON_CLOSE);
            complete = true;
            return in;
        } finally {
            if (!complete) {
                Files.deleteIfExists(file);
            }
        }
    }

    private static ContentUnavailableException unavailable(String bucket, String name, Exception e) {
        return new ContentUnavailableException(
                "The object \"" + name + "\" of bucket \"" + bucket + "\" cannot be read at present.", e);
    }

    /**
     * Removes an object whose message is finished, and leaves a note of that in what the store keeps of it: the same message may come
     * again. Something else that was put under the same name stays. If it fails, the object is left, and the log names it.
     *
     * @param subject of the message
     */
    public void remove(ObjectReference object, String subject) {
        try {
            ObjectStore store = connection.objectStore(object.bucket(), options);
            ObjectInfo info = store.getInfo(object.name());
            if (info == null || info.isDeleted() || !object.version().equals(info.getNuid())) {
                return;
            }
            Headers headers = new Headers(info.getHeaders());
            headers.put(APPLIED, object.version() + " " + subject);
            store.updateMeta(
                    object.name(),
                    ObjectMeta.builder(info.getObjectMeta()).headers(headers).build());
            store.delete(object.name());
        } catch (IOException | JetStreamApiException | IllegalStateException | IllegalArgumentException e) {
            LOG.warn(
                    "The object {}/{} is applied, but could not be removed: {}",
                    object.bucket(),
                    object.name(),
                    e.getMessage());
        }
    }

    /** The subject in the note that {@link #remove} has left; empty without one, or if it is of something that was put there before. */
    private static String appliedFor(@Nullable ObjectInfo removed) {
        String note = removed == null || removed.getHeaders() == null
                ? null
                : removed.getHeaders().getFirst(APPLIED);
        String version = removed == null ? "" : removed.getNuid() + " ";
        return note == null || !note.startsWith(version) ? "" : note.substring(version.length());
    }
}
