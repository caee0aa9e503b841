package dev.countersink.ingest.message;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/** What the subjects of the stream mean. */
public final class Subjects {
    public static final String PREFIX = "results.";
    public static final String ALL = PREFIX + ">";

    private Subjects() {}

    /** The job of {@code results.<job_id>}, or null: not a number as a job's id is written. */
    public static Long jobId(String subject) {
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

    /** The name of the consumer of a subject: the same on every instance, and safe where the server makes a file of it. */
    public static String consumerName(String subject) {
        Long job = jobId(subject);
        if (job != null) {
            return "job-" + job;
        }
        try {
            byte[] digest = MessageDigest.getInstance("SHA-256").digest(subject.getBytes(StandardCharsets.UTF_8));
            return "subject-" + HexFormat.of().formatHex(digest, 0, 16);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("Every Java platform has SHA-256.", e);
        }
    }

    /** Whether a consumer can filter by it; the server also stores messages whose subject reads as a wildcard. */
    public static boolean isFilterable(String subject) {
        return isLiteral(subject);
    }

    private static boolean isLiteral(String subject) {
        for (String token : subject.split("\\.", -1)) {
            if (token.isEmpty() || token.equals("*") || token.equals(">")) {
                return false;
            }
        }
        return true;
    }

    /** Whether one can publish to it. */
    public static boolean isPublishable(String subject) {
        return isLiteral(subject) && subject.chars().noneMatch(c -> c <= ' ' || c == 127);
    }
}
