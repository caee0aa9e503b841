package dev.countersink.embedded;

import java.util.Locale;

/** Names of the archives with PostgreSQL's programs. */
public final class PostgresBinaries {
    private PostgresBinaries() {}

    /** The archive for an operating system and a machine as the JVM names them. */
    public static String name(String system, String machine) {
        String arch = "aarch64".equals(machine) ? "arm_64" : machine;
        return "postgres-%s-%s.txz".formatted(system.toLowerCase(Locale.ROOT), arch);
    }
}
