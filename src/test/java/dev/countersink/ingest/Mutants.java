package dev.countersink.ingest;

import io.airlift.compress.zstd.ZstdOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.zip.GZIPOutputStream;

/** Messages of the usual form, most of them changed: a token replaced, a piece left out or repeated, random bytes. */
final class Mutants {
    private static final List<String> TOKENS = List.of(
            "null",
            "true",
            "{}",
            "[]",
            "\"\"",
            "-1",
            "0",
            "1e400",
            "1e39",
            "NaN",
            "-Infinity",
            "12345678901234567890",
            "\"x\"",
            "\"\\u0000\"",
            "\"\\ud800\"",
            "\"2026-02-30\"",
            "[[[[]]]]",
            "{\"a\":{\"b\":[1]}}",
            "1776376800",
            "\"1776376800\"",
            "99999999999999",
            "\"" + "n".repeat(600) + "\"",
            "\"\u6f22\u5b57\ud83e\udd8b\"",
            "0.1e",
            "01",
            "'x'",
            "/* x */1",
            "\"\\x\"");
    private static final List<String> WORDS = List.of(
            "\"pipeline\"",
            "\"source_images\"",
            "\"detections\"",
            "\"bbox\"",
            "\"algorithm\"",
            "\"key\"",
            "\"classifications\"",
            "\"scores\"",
            "\"logits\"",
            "\"timestamp\"",
            "\"error\"",
            "\"errors\"",
            "\"image_id\"",
            "\"result\"",
            "\"results\"",
            "\"reply_subject\"",
            "\"terminal\"",
            "\"id\"",
            "\"x1\"");
    private static final List<String> SUBJECTS = List.of("results.99", "results.x", "results.1.2", "results.007");
    private static final List<String> ENCODINGS = List.of("gzip", "zstd", "br", "GZIP", "identity");

    private final Random random;
    private final int captures;

    Mutants(Random random, int captures) {
        this.random = random;
        this.captures = captures;
    }

    Mutant next() throws IOException {
        String subject = chance(50) ? any(SUBJECTS) : "results." + (1 + random.nextInt(3));
        String text = shape();
        for (int changes = random.nextInt(4); changes > 0; changes--) {
            text = changed(text);
        }
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        if (chance(5)) {
            bytes = damaged(bytes);
        }
        if (!chance(4)) {
            return new Mutant(subject, bytes, chance(60) ? any(ENCODINGS) : null);
        }
        String encoding = random.nextBoolean() ? "gzip" : "zstd";
        byte[] compressed = compressed(bytes, encoding);
        return new Mutant(subject, chance(4) ? damaged(compressed) : compressed, encoding);
    }

    private String shape() {
        return switch (random.nextInt(8)) {
            case 0 -> "[" + result() + "," + result() + (chance(2) ? "," + error() : "") + "]";
            case 1 -> "{\"results\":[" + result() + "," + any(TOKENS) + "," + result() + "]}";
            case 2 -> Messages.envelope("workers." + random.nextInt(9), result());
            case 3 -> error();
            default -> result();
        };
    }

    private String result() {
        return Messages.usual(1 + random.nextInt(captures + captures / 50), random);
    }

    private String error() {
        return Messages.error(1 + random.nextInt(captures), "out of memory");
    }

    private String changed(String text) {
        int at = random.nextInt(text.length() + 1);
        int end = Math.min(text.length(), at + random.nextInt(30));
        return switch (random.nextInt(7)) {
            case 0 -> text.substring(0, at) + text.substring(end);
            case 1 -> text.substring(0, end) + text.substring(at, end) + text.substring(end);
            case 2 -> text.substring(0, at) + any(TOKENS) + text.substring(end);
            case 3 -> valueChanged(text, at);
            case 4 -> text.replaceFirst(any(WORDS), any(WORDS));
            case 5 -> text.substring(0, at) + "{}[]\",:0-e.\\ ".charAt(random.nextInt(13)) + text.substring(at);
            default -> text;
        };
    }

    /** Replaces the value after the next colon, so that the document remains valid more often. */
    private String valueChanged(String text, int from) {
        int colon = text.indexOf(':', from);
        if (colon < 0) {
            return text;
        }
        int end = colon + 1;
        while (end < text.length() && ",}]".indexOf(text.charAt(end)) < 0) {
            end++;
        }
        return text.substring(0, colon + 1) + any(TOKENS).replace("$", "") + text.substring(end);
    }

    private byte[] damaged(byte[] bytes) {
        byte[] result = random.nextBoolean() ? Arrays.copyOf(bytes, random.nextInt(bytes.length + 1)) : bytes.clone();
        for (int i = random.nextInt(4); i > 0 && result.length > 0; i--) {
            result[random.nextInt(result.length)] = (byte) random.nextInt(256);
        }
        return result;
    }

    private static byte[] compressed(byte[] plain, String encoding) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (OutputStream out = encoding.equals("gzip") ? new GZIPOutputStream(bytes) : new ZstdOutputStream(bytes)) {
            out.write(plain);
        }
        return bytes.toByteArray();
    }

    private boolean chance(int oneIn) {
        return random.nextInt(oneIn) == 0;
    }

    private String any(List<String> list) {
        return list.get(random.nextInt(list.size()));
    }
}
