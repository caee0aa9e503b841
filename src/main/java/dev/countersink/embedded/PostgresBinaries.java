package dev.countersink.embedded;

import java.util.Locale;

/** Names of the archives with PostgreSQL's programs. */
public final class PostgresBinaries {
    private PostgresBinaries() {}

    /** The archive for an operating system and a processor, as the JVM names them. */
    public static String name(String system, String machine) {
        String arch = "aarch64".equals(machine) ? "arm_64" : machine;
        return String.format(Locale.ROOT, "postgres-%s-%s.txz", system.toLowerCase(Locale.ROOT), arch);
    }
}
