package dev.countersink.faults;

import dev.countersink.config.DbSettings;
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
 * Passes bytes between clients and a server, and simulates faults of networks: it cuts, stalls and half-closes connections, and
 * holds a client back from the moment at which it sends given bytes.
 */
final class FaultProxy implements AutoCloseable {
    private static final int BUFFER_BYTES = 16 * 1024;

    private final ServerSocket listener;
    private volatile int target;
    private final Set<Socket> sockets = ConcurrentHashMap.newKeySet();
    private final Set<Socket> clients = ConcurrentHashMap.newKeySet();
    private final Set<Socket> dead = ConcurrentHashMap.newKeySet();
    private final CountDownLatch reached = new CountDownLatch(1);
    private volatile String held;

    FaultProxy(int target) throws IOException {
        this.target = target;
        this.listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
        start(this::accept);
    }

    /** The port of a URL. */
    static int port(String url) {
        return Integer.parseInt(url.replaceFirst("^.*:(\\d+)(/.*)?$", "$1"));
    }

    /** The same database, by way of the proxy. */
    DbSettings through(DbSettings db) {
        return DbSettings.of(db.url().replaceFirst(":\\d+/", ":" + port() + "/"), db.user(), db.password());
    }

    int port() {
        return listener.getLocalPort();
    }

    /** From now on, clients are connected to this port. */
    void lead(int port) {
        target = port;
    }

    /** From now on, a client's bytes are passed on only up to and including these. */
    void holdAt(String bytes) {
        held = bytes;
    }

    /** From now on, everything is passed on again; who was held stays so. */
    void passOn() {
        held = null;
    }

    /** Reaches zero once a client is held. */
    CountDownLatch reached() {
        return reached;
    }

    /** Ends every connection at once. */
    void cut() {
        sockets.forEach(FaultProxy::close);
        sockets.clear();
    }

    /** Tells each client that the server sends no more, as after a FIN. Bytes from the client still arrive. */
    void halfClose() {
        for (Socket client : clients) {
            try {
                client.shutdownOutput();
            } catch (IOException e) {
                // It is closed already.
            }
        }
        clients.clear();
    }

    /** Existing connections stay open, but nothing passes through them; later connections work. */
    void stall() {
        dead.addAll(sockets);
    }

    private void accept() {
        try {
            while (true) {
                connect(listener.accept());
            }
        } catch (IOException e) {
            // Closed.
        }
    }

    /** If the server is down, the proxy closes the connection at once, as the server would refuse it. */
    private void connect(Socket client) {
        try {
            Socket server = new Socket(InetAddress.getLoopbackAddress(), target);
            sockets.add(client);
            sockets.add(server);
            clients.add(client);
            start(() -> pass(client, server, true));
            start(() -> pass(server, client, false));
        } catch (IOException e) {
            close(client);
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
