package dev.countersink.testing;

import dev.countersink.config.DbSettings;
import dev.countersink.embedded.EmbeddedPostgres;
import java.nio.file.Path;
import java.util.Map;
import java.util.stream.Stream;
import org.testcontainers.DockerClientFactory;
import org.testcontainers.containers.GenericContainer;
import org.testcontainers.containers.wait.strategy.Wait;

/** A PostgreSQL server on which tests may change anything. */
interface PostgresServer extends AutoCloseable {
    int PORT = 5432;
    /** A test server need not be durable. */
    Map<String, String> TUNING = Map.of("fsync", "off", "full_page_writes", "off", "max_prepared_transactions", "5");

    DbSettings settings(String database);

    /** Whether its files may be changed, such as the one that says who needs a password. */
    default boolean ours() {
        return true;
    }

    @Override
    void close();

    /**
     * Picks the first that is available:
     *
     * <ol>
     *   <li>the server in the system properties {@code countersink.test.db.url}, {@code .user} and {@code .password}. Its role must be
     *       a superuser, because tests create databases and roles, and it has to have a database {@code postgres};
     *   <li>a container with the image {@code postgres:<version>}, if Docker runs; {@code -Dcountersink.test.docker=false} skips it;
     *   <li>the binaries that come with the build, of 15 and 18.
     * </ol>
     */
    static PostgresServer pick(int version) {
        String url = System.getProperty("countersink.test.db.url");
        if (url != null) {
            return configured(url);
        }
        if (Boolean.parseBoolean(System.getProperty("countersink.test.docker", "true"))
                && DockerClientFactory.instance().isDockerAvailable()) {
            try {
                return container(version);
            } catch (RuntimeException e) {
                System.out.printf("Docker answers, but postgres:%d does not start: %s%n", version, e.getMessage());
            }
        }
        return local();
    }

    private static PostgresServer configured(String url) {
        System.out.printf("The tests' PostgreSQL: %s%n", url);
        String user = System.getProperty("countersink.test.db.user");
        String password = System.getProperty("countersink.test.db.password");
        return new PostgresServer() {
            @Override
            public DbSettings settings(String database) {
                return DbSettings.of(url.replaceFirst("/[^/]*$", "/" + database), user, password);
            }

            @Override
            public boolean ours() {
                return false;
            }

            @Override
            public void close() {}
        };
    }

    private static PostgresServer container(int version) {
        String image = "postgres:" + version;
        System.out.printf(
                "The tests' PostgreSQL: a container of %s; -Dcountersink.test.docker=false takes binaries%n", image);
        @SuppressWarnings("resource") // closed below
        GenericContainer<?> container = new GenericContainer<>(image)
                .withExposedPorts(PORT)
                .withEnv("POSTGRES_HOST_AUTH_METHOD", "trust")
                .withEnv("POSTGRES_INITDB_ARGS", "--locale=C.UTF-8")
                .withCommand(Stream.concat(
                                Stream.of("postgres", "-c", "jit=off"),
                                TUNING.entrySet().stream()
                                        .flatMap(setting ->
                                                Stream.of("-c", setting.getKey() + "=" + setting.getValue())))
                        .toArray(String[]::new))
                .waitingFor(Wait.forLogMessage(".*database system is ready to accept connections.*", 2));
        container.start();
        return new PostgresServer() {
            @Override
            public DbSettings settings(String database) {
                String url = "jdbc:postgresql://%s:%d/%s"
                        .formatted(container.getHost(), container.getMappedPort(PORT), database);
                return DbSettings.of(url, "postgres", "unused");
            }

            @Override
            public void close() {
                container.close();
            }
        };
    }

    private static PostgresServer local() {
        System.out.println("The tests' PostgreSQL: the binaries of the build");
        Path dir = TestFolder.create("postgres");
        EmbeddedPostgres server = EmbeddedPostgres.start(dir, TUNING, TestPostgres::binaries);
        return new PostgresServer() {
            @Override
            public DbSettings settings(String database) {
                return server.settings(database);
            }

            @Override
            public void close() {
                // Nobody needs its last checkpoint, which may take longer than a JVM may take to end.
                server.kill();
                TestFolder.delete(dir);
            }
        };
    }
}
