package dev.countersink.ingest.nats;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Iterator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Decides which subjects have an open consumer. Up to the limit, all subjects with messages have one, and idle ones keep theirs
 * until it expires. Beyond the limit they take turns: the subject that has waited longest replaces an idle one, or the first one
 * whose turn is over. Not thread-safe.
 */
public final class Rotation {
    private int limit;
    private final Set<String> open = new LinkedHashSet<>();
    private final Set<String> waiting = new LinkedHashSet<>();

    public Rotation(int limit) {
        this.limit = limit;
    }

    /** From now on at most so many are open. */
    public void limit(int most) {
        limit = most;
    }

    public record Change(List<String> close, List<String> open) {}

    /**
     * Decides what to close and what to open.
     *
     * @param busy subjects with messages in the stream
     * @param expired true if the open subject has been idle too long
     * @param turnOver true if the open subject has had its share
     */
    public Change next(Collection<String> busy, Predicate<String> expired, Predicate<String> turnOver) {
        Set<String> busySet = new LinkedHashSet<>(busy);
        List<String> closed = new ArrayList<>();
        List<String> opened = new ArrayList<>();
        for (Iterator<String> i = open.iterator(); i.hasNext(); ) {
            String subject = i.next();
            if (!busySet.contains(subject) && expired.test(subject)) {
                i.remove();
                closed.add(subject);
            }
        }
        waiting.retainAll(busySet);
        busySet.stream().filter(s -> !open.contains(s)).forEach(waiting::add);
        for (String next : List.copyOf(waiting)) {
            if (open.size() >= limit) {
                String victim = victim(busySet, turnOver, opened);
                if (victim == null) {
                    break;
                }
                open.remove(victim);
                closed.add(victim);
                if (busySet.contains(victim)) {
                    waiting.add(victim);
                }
            }
            waiting.remove(next);
            open.add(next);
            opened.add(next);
        }
        return new Change(closed, opened);
    }

    /** The subjects with an open consumer. */
    public List<String> opened() {
        return List.copyOf(open);
    }

    public boolean isOpen(String subject) {
        return open.contains(subject);
    }

    /** The consumer could not be opened, or no longer exists: the subject waits again. */
    public void lost(String subject) {
        open.remove(subject);
    }

    private @Nullable String victim(Set<String> busy, Predicate<String> turnOver, List<String> justOpened) {
        for (String subject : open) {
            if (!busy.contains(subject)) {
                return subject;
            }
        }
        for (String subject : open) {
            if (!justOpened.contains(subject) && turnOver.test(subject)) {
                return subject;
            }
        }
        return null;
    }
}
