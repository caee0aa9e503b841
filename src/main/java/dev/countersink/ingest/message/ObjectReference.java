package dev.countersink.ingest.message;

import java.io.IOException;
import java.io.InputStream;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** An object that a message names in a header, because its content is too large for a message. */
public final class ObjectReference implements Content {
    static final String HEADER = "Countersink-Object";
    private static final Pattern BUCKET_AND_NAME = Pattern.compile("([A-Za-z0-9_-]+)/(.+)");

    private final String bucket;
    private final String name;
    private final ObjectSource source;
    private final long most;
    private final Runnable progress;
    private volatile boolean neededLater;

    private ObjectReference(String bucket, String name, ObjectSource source, long most, Runnable progress) {
        this.bucket = bucket;
        this.name = name;
        this.source = source;
        this.most = most;
        this.progress = progress;
    }

    static ObjectReference of(String header, ObjectSource source, long most, Runnable progress) throws DecodeException {
        Matcher parts = BUCKET_AND_NAME.matcher(header.strip());
        if (!parts.matches()) {
            throw DecodeException.undecodable("its " + HEADER + " is \"" + header + "\", not bucket/name.");
        }
        return new ObjectReference(parts.group(1), parts.group(2), source, most, progress);
    }

    public String bucket() {
        return bucket;
    }

    public String name() {
        return name;
    }

    /** Whether a dead letter refers to it, so that it must be kept. */
    public boolean isNeededLater() {
        return neededLater;
    }

    @Override
    public void keep() {
        neededLater = true;
    }

    @Override
    public InputStream open() throws IOException {
        return source.open(bucket, name, most, progress);
    }
}
