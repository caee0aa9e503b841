package dev.countersink.ingest.nats;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Iterator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;

/**
 * Which subjects have an open consumer. Up to the limit all with messages do, and idle ones keep theirs until it expires;
 * beyond it they take turns: whoever waits longest takes the place of an idle subject, or of the first one whose turn is
 * over. Not thread-safe.
 */
public final class Rotation {
    private final int limit;
    private final Set<String> open = new LinkedHashSet<>();
    private final Set<String> waiting = new LinkedHashSet<>();

    public Rotation(int limit) {
        this.limit = limit;
    }

    public record Change(List<String> close, List<String> open) {}

    /**
     * Decides anew.
     *
     * @param busy subjects with messages in the stream
     * @param expired of an open one: nothing has come for long
     * @param turnOver of an open one: it has had its share
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

    /** A consumer that could not be opened, or is gone: the subject waits again. */
    public void lost(String subject) {
        open.remove(subject);
    }

    private String victim(Set<String> busy, Predicate<String> turnOver, List<String> justOpened) {
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
