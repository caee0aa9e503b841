package dev.countersink.refresh;

import dev.countersink.config.RefreshSettings;
import dev.countersink.db.DueView;
import dev.countersink.db.TallyDb;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.quartz.JobBuilder;
import org.quartz.JobDetail;
import org.quartz.JobKey;
import org.quartz.Scheduler;
import org.quartz.SchedulerException;
import org.quartz.Trigger;
import org.quartz.TriggerBuilder;
import org.quartz.impl.matchers.GroupMatcher;
import org.springframework.boot.context.event.ApplicationReadyEvent;
import org.springframework.context.event.EventListener;
import org.springframework.stereotype.Component;
import org.springframework.transaction.support.TransactionOperations;

/** Makes Quartz's jobs follow the catalog: one for each derived view that {@code tally.due()} lists, none besides. */
@Component
class Follower {
    private static final String NAME = "follow";
    private static final String GROUP = "control";

    private final TallyDb tally;
    private final Scheduler scheduler;
    private final RefreshSettings settings;
    private final Troubles troubles;
    private final TransactionOperations transactions;

    Follower(
            TallyDb tally,
            Scheduler scheduler,
            RefreshSettings settings,
            Troubles troubles,
            TransactionOperations transactions) {
        this.tally = tally;
        this.scheduler = scheduler;
        this.settings = settings;
        this.troubles = troubles;
        this.transactions = transactions;
    }

    @EventListener(ApplicationReadyEvent.class)
    void begin() {
        JobDetail job = JobBuilder.newJob(FollowJob.class)
                .withIdentity(NAME, GROUP)
                .storeDurably()
                .build();
        Trigger trigger = TriggerBuilder.newTrigger()
                .withIdentity(NAME, GROUP)
                .withSchedule(Schedule.every(settings.follow()))
                .build();
        inTransaction(() -> scheduler.scheduleJob(job, Set.of(trigger), true));
    }

    void follow() {
        if (!troubles.mayTry(NAME)) {
            return;
        }
        try {
            inTransaction(this::keepAll);
            troubles.succeeded(NAME);
        } catch (RuntimeException e) {
            troubles.failed(NAME, Schedule.message(e));
        }
    }

    private void keepAll() throws SchedulerException {
        List<DueView> due = tally.due();
        for (DueView view : due) {
            Schedule.keep(scheduler, view, settings.interval());
        }
        Set<String> names = due.stream().map(DueView::name).collect(Collectors.toSet());
        for (JobKey job : scheduler.getJobKeys(GroupMatcher.jobGroupEquals(Schedule.VIEWS))) {
            if (!names.contains(job.getName())) {
                scheduler.deleteJob(job);
            }
        }
    }

    /** What changes the job store. */
    private interface Change {
        void apply() throws SchedulerException;
    }

    /** The job store locks a row while it changes anything, which holds only as long as a transaction does. */
    private void inTransaction(Change change) {
        transactions.executeWithoutResult(status -> {
            try {
                change.apply();
            } catch (SchedulerException e) {
                throw new IllegalStateException(e.getMessage(), e);
            }
        });
    }
}
