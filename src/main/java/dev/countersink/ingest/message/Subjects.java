package dev.countersink.ingest.message;

import dev.countersink.digest.Sha256;
import org.jspecify.annotations.Nullable;

/** The meaning of the stream's subjects. */
public final class Subjects {
    public static final String PREFIX = "results.";
    public static final String ALL = PREFIX + ">";
    /** Of no job: the consumer that names the stream's owner has to filter by something. */
    public static final String OWNER = PREFIX + "countersink.owner";

    private Subjects() {}

    /** The job of {@code results.<job_id>}; null if that is not the number of a job. */
    public static @Nullable Long jobId(String subject) {
        if (!subject.startsWith(PREFIX)) {
            return null;
        }
        String token = subject.substring(PREFIX.length());
        try {
            long id = Long.parseLong(token);
            return Long.toString(id).equals(token) ? (Long) id : null;
        } catch (NumberFormatException e) {
            return null;
        }
    }

    /** The name of a subject's consumer. All instances use the same name, and the server can use it as a file name. */
    public static String consumerName(String subject) {
        Long job = jobId(subject);
        if (job != null) {
            return "job-" + job;
        }
        return "subject-" + Sha256.hex(subject).substring(0, 32);
    }

    /**
     * Whether a consumer can filter by this subject. The server also stores messages whose subject looks like a wildcard, and a
     * work queue has one consumer for a subject.
     */
    public static boolean isFilterable(String subject) {
        return isLiteral(subject) && !subject.equals(OWNER);
    }

    private static boolean isLiteral(String subject) {
        for (String token : subject.split("\\.", -1)) {
            if (token.isEmpty() || token.equals("*") || token.equals(">")) {
                return false;
            }
        }
        return true;
    }

    /** Whether a message can be published to this subject. */
    public static boolean isPublishable(String subject) {
        return isLiteral(subject) && subject.chars().noneMatch(c -> c <= ' ' || c == 127);
    }
}
