package dev.countersink.embedded;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;

/** Checks whether a server answers on a port. It is for protocols in which the server sends first. */
final class PortProbe {
    private static final int PATIENCE_MS = 1000;

    private PortProbe() {}

    static boolean speaks(String host, int port, String greeting) {
        try (Socket socket = new Socket()) {
            socket.connect(new InetSocketAddress(host, port), PATIENCE_MS);
            socket.setSoTimeout(PATIENCE_MS);
            byte[] first = socket.getInputStream().readNBytes(greeting.length());
            return greeting.equals(new String(first, StandardCharsets.US_ASCII));
        } catch (IOException e) {
            return false;
        }
    }
}
