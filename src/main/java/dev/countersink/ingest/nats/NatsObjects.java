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
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.NoSuchAlgorithmException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Objects of JetStream's object store. An object is read by way of a temporary file, so it is never in memory as a whole. */
public final class NatsObjects implements ObjectSource {
    private static final Logger LOG = LoggerFactory.getLogger(NatsObjects.class);
    private static final int NOT_FOUND = 404;

    private final Connection connection;
    private final ObjectStoreOptions options;

    public NatsObjects(Connection connection, JetStreamOptions options) {
        this.connection = connection;
        this.options = ObjectStoreOptions.builder().jetStreamOptions(options).build();
    }

    @Override
    public InputStream open(String bucket, String name, long most, Runnable progress) throws IOException {
        try {
            ObjectStore store = connection.objectStore(bucket, options);
            ObjectInfo info = store.getInfo(name);
            if (info == null || info.isDeleted()) {
                throw new MissingObjectException(bucket, name);
            }
            if (info.getSize() > most) {
                throw new TooLargeException(most);
            }
            return download(store, name, progress);
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

    private static InputStream download(ObjectStore store, String name, Runnable progress)
            throws IOException, JetStreamApiException, InterruptedException, NoSuchAlgorithmException {
        Path file = Files.createTempFile("countersink-", ".object");
        boolean complete = false;
        try {
            try (OutputStream out = new Watched(Files.newOutputStream(file), progress)) {
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

    /** Reports every piece that is written. */
    private static final class Watched extends FilterOutputStream {
        private final Runnable progress;

        Watched(OutputStream out, Runnable progress) {
            super(out);
            this.progress = progress;
        }

        @Override
        public void write(byte[] bytes, int offset, int length) throws IOException {
            out.write(bytes, offset, length);
            progress.run();
        }
    }

    private static ContentUnavailableException unavailable(String bucket, String name, Exception e) {
        return new ContentUnavailableException(
                "The object \"" + name + "\" of bucket \"" + bucket + "\" cannot be read at present.", e);
    }

    /** Removes an object whose message is finished. If that fails, the object is left, and the log names it. */
    public void remove(ObjectReference object) {
        try {
            connection.objectStore(object.bucket(), options).delete(object.name());
        } catch (IOException | JetStreamApiException | IllegalStateException e) {
            LOG.warn(
                    "The object {}/{} is applied, but could not be removed: {}",
                    object.bucket(),
                    object.name(),
                    e.getMessage());
        }
    }
}
