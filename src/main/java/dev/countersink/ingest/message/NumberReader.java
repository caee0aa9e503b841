package dev.countersink.ingest.message;

import dev.countersink.config.StoredNumbers;
import dev.countersink.ingest.message.MessageBody.Numbers;
import java.util.Arrays;

/**
 * Collects the numbers of an array while they are read: all, the highest, or none. For the highest it keeps a heap with the
 * lowest on top, so an array of any length takes no more memory than what is stored of it.
 */
final class NumberReader {
    private final StoredNumbers stored;
    private float[] values = new float[16];
    private int[] classes = new int[0];
    private int kept;
    private int read;

    NumberReader(StoredNumbers stored) {
        this.stored = stored;
    }

    void begin() {
        kept = 0;
        read = 0;
    }

    void add(float value, MemoryBudget budget) throws DecodeException {
        int number = read++;
        if (kept < stored.most()) {
            append(value, number, budget);
        } else if (kept > 0 && isLower(values[0], classes[0], value, number)) {
            set(0, value, number);
            sink();
        }
    }

    /** The numbers to store, from those added since {@link #begin}. Their memory is taken from the budget before the copy. */
    Numbers end(MemoryBudget budget) throws DecodeException {
        if (kept == 0) {
            return Numbers.NONE;
        }
        budget.array(kept, Float.BYTES);
        if (stored.isAll()) {
            return new Numbers(Arrays.copyOf(values, kept), null);
        }
        if (read == kept) {
            return whole();
        }
        budget.array(kept, Integer.BYTES);
        return highestFirst();
    }

    private void append(float value, int number, MemoryBudget budget) throws DecodeException {
        if (kept == values.length) {
            budget.requireRoom((long) Float.BYTES * kept);
            values = Arrays.copyOf(values, (int) Math.min(stored.most(), 2L * kept));
        }
        if (!stored.isAll() && classes.length < values.length) {
            classes = Arrays.copyOf(classes, values.length);
        }
        set(kept++, value, number);
        if (!stored.isAll()) {
            rise();
        }
    }

    private void set(int at, float value, int number) {
        values[at] = value;
        if (!stored.isAll()) {
            classes[at] = number;
        }
    }

    private void rise() {
        int at = kept - 1;
        while (at > 0 && isLower(at, (at - 1) / 2)) {
            swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
    }

    private void sink() {
        int at = 0;
        while (2 * at + 1 < kept) {
            int lower = 2 * at + 1;
            if (lower + 1 < kept && isLower(lower + 1, lower)) {
                lower++;
            }
            if (!isLower(lower, at)) {
                return;
            }
            swap(at, lower);
            at = lower;
        }
    }

    private void swap(int a, int b) {
        float value = values[a];
        int number = classes[a];
        set(a, values[b], classes[b]);
        set(b, value, number);
    }

    private boolean isLower(int a, int b) {
        return isLower(values[a], classes[a], values[b], classes[b]);
    }

    /** Of equal values the one with the later class is lower. NaN is lower than any number. */
    private static boolean isLower(float a, int classOfA, float b, int classOfB) {
        if (Float.isNaN(a) || Float.isNaN(b)) {
            return Float.isNaN(a) && (!Float.isNaN(b) || classOfA > classOfB);
        }
        return a < b || (a == b && classOfA > classOfB);
    }

    private Numbers whole() {
        float[] inOrder = new float[kept];
        for (int i = 0; i < kept; i++) {
            inOrder[classes[i]] = values[i];
        }
        return new Numbers(inOrder, null);
    }

    private Numbers highestFirst() {
        float[] sorted = new float[kept];
        int[] sortedClasses = new int[kept];
        while (kept > 0) {
            kept--;
            sorted[kept] = values[0];
            sortedClasses[kept] = classes[0];
            set(0, values[kept], classes[kept]);
            sink();
        }
        return new Numbers(sorted, sortedClasses);
    }
}
