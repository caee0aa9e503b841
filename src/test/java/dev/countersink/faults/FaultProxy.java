package dev.countersink.faults;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;

/**
 * Passes bytes between clients and a server, and misbehaves as networks do: it cuts connections, lets them stall, and
 * holds a client back from the moment at which it sends given bytes.
 */
final class FaultProxy implements AutoCloseable {
    private static final int BUFFER_BYTES = 16 * 1024;

    private final ServerSocket listener;
    private final int target;
    private final Set<Socket> sockets = ConcurrentHashMap.newKeySet();
    private final Set<Socket> dead = ConcurrentHashMap.newKeySet();
    private final CountDownLatch reached = new CountDownLatch(1);
    private volatile String held;

    FaultProxy(int target) throws IOException {
        this.target = target;
        this.listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
        start(this::accept);
    }

    int port() {
        return listener.getLocalPort();
    }

    /** From now on, what a client sends is passed on up to these bytes and no further. */
    void holdAt(String bytes) {
        held = bytes;
    }

    /** Zero as soon as a client is held. */
    CountDownLatch reached() {
        return reached;
    }

    /** Ends every connection at once. */
    void cut() {
        sockets.forEach(FaultProxy::close);
        sockets.clear();
    }

    /** Connections stay open, and nothing passes; those that are made later work. */
    void stall() {
        dead.addAll(sockets);
    }

    private void accept() {
        try {
            while (true) {
                Socket client = listener.accept();
                Socket server = new Socket(InetAddress.getLoopbackAddress(), target);
                sockets.add(client);
                sockets.add(server);
                start(() -> pass(client, server, true));
                start(() -> pass(server, client, false));
            }
        } catch (IOException e) {
            // Closed.
        }
    }

    private void pass(Socket from, Socket to, boolean fromClient) {
        byte[] buffer = new byte[BUFFER_BYTES];
        String tail = "";
        try {
            InputStream in = from.getInputStream();
            OutputStream out = to.getOutputStream();
            for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
                if (dead.contains(from)) {
                    continue;
                }
                String pattern = held;
                if (fromClient && pattern != null) {
                    String seen = tail + new String(buffer, 0, n, StandardCharsets.ISO_8859_1);
                    if (seen.contains(pattern)) {
                        reached.countDown();
                        dead.add(from);
                        continue;
                    }
                    tail = seen.substring(Math.max(0, seen.length() - pattern.length()));
                }
                out.write(buffer, 0, n);
                out.flush();
            }
        } catch (IOException e) {
            // Cut.
        } finally {
            if (!dead.contains(from) && !dead.contains(to)) {
                close(from);
                close(to);
            }
        }
    }

    private static void start(Runnable task) {
        Thread thread = new Thread(task, "proxy");
        thread.setDaemon(true);
        thread.start();
    }

    private static void close(Socket socket) {
        try {
            socket.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void close() throws IOException {
        listener.close();
        cut();
        dead.forEach(FaultProxy::close);
    }
}
