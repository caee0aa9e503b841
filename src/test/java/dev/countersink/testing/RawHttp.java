package dev.countersink.testing;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/** Requests that an HTTP client would refuse to send: bytes over a socket, and the answer as it came. */
public final class RawHttp {
    private static final int PATIENCE_MILLIS = 30_000;

    private RawHttp() {}

    /** The first answer of a connection. A status of 0 means that there was none. */
    public record Reply(int status, Map<String, String> headers, String body) {
        public String header(String name) {
            return headers.getOrDefault(name.toLowerCase(Locale.ROOT), "");
        }
    }

    public static Socket connect(int port) throws IOException {
        Socket socket = new Socket(InetAddress.getLoopbackAddress(), port);
        socket.setSoTimeout(PATIENCE_MILLIS);
        return socket;
    }

    /** Sends bytes, says that nothing more comes, and reads until the server closes. */
    public static Reply send(int port, byte[] request) throws IOException {
        try (Socket socket = connect(port)) {
            try {
                socket.getOutputStream().write(request);
                socket.shutdownOutput();
            } catch (IOException e) {
                // It answers, and closes, before it has read all.
            }
            return read(socket.getInputStream());
        }
    }

    public static Reply send(int port, String request) throws IOException {
        return send(port, request.getBytes(StandardCharsets.ISO_8859_1));
    }

    /** Reads an answer until the server closes, or resets, the connection. */
    public static Reply read(InputStream in) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        byte[] buffer = new byte[8192];
        try {
            for (int count = in.read(buffer); count > 0; count = in.read(buffer)) {
                bytes.write(buffer, 0, count);
            }
        } catch (java.net.SocketException e) {
            // What came before it counts.
        }
        return parse(bytes.toString(StandardCharsets.ISO_8859_1));
    }

    private static Reply parse(String text) {
        int end = text.indexOf("\r\n\r\n");
        if (!text.startsWith("HTTP/1.") || end < 0) {
            return new Reply(0, Map.of(), text);
        }
        String[] lines = text.substring(0, end).split("\r\n");
        int status = Integer.parseInt(lines[0].substring(9, 12));
        if (status == 100) {
            return parse(text.substring(end + 4));
        }
        Map<String, String> headers = new TreeMap<>();
        for (int i = 1; i < lines.length; i++) {
            int colon = lines[i].indexOf(':');
            headers.put(
                    lines[i].substring(0, colon).toLowerCase(Locale.ROOT),
                    lines[i].substring(colon + 1).strip());
        }
        String body = text.substring(end + 4);
        boolean chunked = "chunked".equals(headers.get("transfer-encoding"));
        String whole = chunked ? joined(body) : body;
        // What follows is the answer to another request, or to what the server took for one.
        int length = Integer.parseInt(headers.getOrDefault("content-length", Integer.toString(whole.length())));
        byte[] bytes = whole.substring(0, Math.min(length, whole.length())).getBytes(StandardCharsets.ISO_8859_1);
        return new Reply(status, headers, new String(bytes, StandardCharsets.UTF_8));
    }

    private static String joined(String chunks) {
        StringBuilder joined = new StringBuilder();
        int at = 0;
        for (int end = chunks.indexOf("\r\n"); end > at; end = chunks.indexOf("\r\n", at)) {
            int size = Integer.parseInt(chunks.substring(at, end), 16);
            if (size == 0) {
                break; // what follows is the answer to another request
            }
            joined.append(chunks, end + 2, Math.min(end + 2 + size, chunks.length()));
            at = end + 4 + size;
        }
        return joined.toString();
    }
}
