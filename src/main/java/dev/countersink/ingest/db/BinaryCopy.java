package dev.countersink.ingest.db;

import java.nio.charset.StandardCharsets;
import java.sql.SQLException;
import org.jspecify.annotations.Nullable;
import org.postgresql.copy.CopyIn;
import org.postgresql.copy.CopyManager;

/**
 * One {@code COPY … FROM STDIN (FORMAT binary)}. For each row call {@link #row} and then its fields in order; at the end call
 * {@link #finish}. Closing without it cancels the COPY. The buffer has a fixed size.
 */
final class BinaryCopy implements AutoCloseable {
    private static final byte[] SIGNATURE = {'P', 'G', 'C', 'O', 'P', 'Y', '\n', (byte) 0xff, '\r', '\n', 0};
    private static final int BUFFER_BYTES = 64 * 1024;
    private static final int FLOAT4_OID = 700;
    private static final int INT4_OID = 23;
    /** From 1970, Java's epoch, to 2000, PostgreSQL's epoch. */
    private static final long EPOCH_OFFSET_MICROS = 946_684_800_000_000L;

    private final CopyIn copy;
    private final Runnable sent;
    private final byte[] buffer = new byte[BUFFER_BYTES];
    private int used;

    /** @param sent is told each time that some of it has been handed to the network */
    BinaryCopy(CopyManager manager, String table, Runnable sent) throws SQLException {
        this.sent = sent;
        copy = manager.copyIn("COPY " + table + " FROM STDIN (FORMAT binary)");
        bytes(SIGNATURE, 0, SIGNATURE.length);
        int32(0);
        int32(0);
    }

    void row(int fields) throws SQLException {
        int16(fields);
    }

    void nothing() throws SQLException {
        int32(-1);
    }

    void integer(int value) throws SQLException {
        int32(4);
        int32(value);
    }

    void bigint(long value) throws SQLException {
        int32(8);
        int64(value);
    }

    void bigint(@Nullable Long value) throws SQLException {
        if (value == null) {
            nothing();
        } else {
            bigint(value.longValue());
        }
    }

    void float8(double value) throws SQLException {
        int32(8);
        int64(Double.doubleToLongBits(value));
    }

    void bool(boolean value) throws SQLException {
        int32(1);
        room(1);
        buffer[used++] = (byte) (value ? 1 : 0);
    }

    void text(@Nullable String value) throws SQLException {
        if (value == null) {
            nothing();
            return;
        }
        byte[] utf8 = value.getBytes(StandardCharsets.UTF_8);
        int32(utf8.length);
        bytes(utf8, 0, utf8.length);
    }

    /** @param micros microseconds since 1970 */
    void timestamptz(long micros) throws SQLException {
        int32(8);
        int64(micros - EPOCH_OFFSET_MICROS);
    }

    void float4Array(float @Nullable [] values) throws SQLException {
        if (values == null) {
            nothing();
            return;
        }
        arrayHeader(values.length, FLOAT4_OID);
        for (float value : values) {
            int32(4);
            int32(Float.floatToIntBits(value));
        }
    }

    void int4Array(int @Nullable [] values) throws SQLException {
        if (values == null) {
            nothing();
            return;
        }
        arrayHeader(values.length, INT4_OID);
        for (int value : values) {
            int32(4);
            int32(value);
        }
    }

    /** For an array with one dimension, lower bound 1 and elements of four bytes. */
    private void arrayHeader(int length, int elementOid) throws SQLException {
        int dimensions = length == 0 ? 0 : 1;
        int32(12 + 8 * dimensions + 8 * length);
        int32(dimensions);
        int32(0);
        int32(elementOid);
        if (dimensions == 1) {
            int32(length);
            int32(1);
        }
    }

    /** Ends the COPY; returns the number of rows. */
    long finish() throws SQLException {
        int16(-1);
        flush();
        return copy.endCopy();
    }

    @Override
    public void close() throws SQLException {
        if (copy.isActive()) {
            copy.cancelCopy();
        }
    }

    private void int16(int value) throws SQLException {
        room(2);
        buffer[used++] = (byte) (value >> 8);
        buffer[used++] = (byte) value;
    }

    private void int32(int value) throws SQLException {
        room(4);
        buffer[used++] = (byte) (value >> 24);
        buffer[used++] = (byte) (value >> 16);
        buffer[used++] = (byte) (value >> 8);
        buffer[used++] = (byte) value;
    }

    private void int64(long value) throws SQLException {
        int32((int) (value >> 32));
        int32((int) value);
    }

    private void bytes(byte[] source, int from, int length) throws SQLException {
        int at = from;
        int end = from + length;
        while (at < end) {
            room(1);
            int chunk = Math.min(end - at, buffer.length - used);
            System.arraycopy(source, at, buffer, used, chunk);
            used += chunk;
            at += chunk;
        }
    }

    private void room(int bytes) throws SQLException {
        if (buffer.length - used < bytes) {
            flush();
        }
    }

    private void flush() throws SQLException {
        copy.writeToCopy(buffer, 0, used);
        sent.run();
        used = 0;
    }
}
