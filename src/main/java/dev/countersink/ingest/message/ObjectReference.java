package dev.countersink.ingest.message;

import java.io.IOException;
import java.io.InputStream;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** An object that a message names in a header, because its content is too large for a message. */
public final class ObjectReference implements Content {
    public static final String HEADER = "Countersink-Object";
    private static final Pattern BUCKET_AND_NAME = Pattern.compile("([A-Za-z0-9_-]+)/(.+)");

    private final String bucket;
    private final String name;
    private final ObjectSource source;
    private final long most;
    private volatile boolean neededLater;
    private volatile String version = "";
    private volatile String appliedFor = "";

    private ObjectReference(String bucket, String name, ObjectSource source, long most) {
        this.bucket = bucket;
        this.name = name;
        this.source = source;
        this.most = most;
    }

    static ObjectReference of(String header, ObjectSource source, long most) throws DecodeException {
        Matcher parts = BUCKET_AND_NAME.matcher(header.strip());
        if (!parts.matches()) {
            throw DecodeException.undecodable("its " + HEADER + " is \"" + header + "\", not bucket/name.");
        }
        return new ObjectReference(parts.group(1), parts.group(2), source, most);
    }

    public String bucket() {
        return bucket;
    }

    public String name() {
        return name;
    }

    /** Of what was read first; empty before. */
    public String version() {
        return version;
    }

    /** Whether it is known to be missing because an equal message was applied: one with this subject. */
    boolean wasAppliedFor(String subject) {
        return subject.equals(appliedFor);
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
        try {
            ObjectSource.Found found = source.open(bucket, name, most);
            if (version.isEmpty()) {
                version = found.version();
            }
            return found.content();
        } catch (MissingObjectException e) {
            appliedFor = e.appliedFor();
            throw e;
        }
    }
}
