package dev.countersink.jobs;

import dev.countersink.config.Cron;
import dev.countersink.config.MaintenanceSettings;
import dev.countersink.config.RefreshSettings;
import dev.countersink.db.DueView;
import dev.countersink.db.TallyDb;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.quartz.Job;
import org.quartz.JobBuilder;
import org.quartz.JobDetail;
import org.quartz.JobKey;
import org.quartz.ScheduleBuilder;
import org.quartz.Scheduler;
import org.quartz.SchedulerException;
import org.quartz.Trigger;
import org.quartz.TriggerBuilder;
import org.quartz.impl.matchers.GroupMatcher;
import org.springframework.boot.context.event.ApplicationReadyEvent;
import org.springframework.context.event.EventListener;
import org.springframework.stereotype.Component;
import org.springframework.transaction.support.TransactionOperations;

/** Makes Quartz's jobs match the catalog: one for each derived view in {@code tally.due()}, and no others. */
@Component
class JobSynchronizer {
    private static final String NAME = "follow";
    private static final String MAINTENANCE = "maintenance";
    private static final String GROUP = "control";

    private final TallyDb tally;
    private final Scheduler scheduler;
    private final RefreshSettings settings;
    private final MaintenanceSettings maintenance;
    private final RetryBackoff backoff;
    private final TransactionOperations transactions;

    JobSynchronizer(
            TallyDb tally,
            Scheduler scheduler,
            RefreshSettings settings,
            MaintenanceSettings maintenance,
            RetryBackoff backoff,
            TransactionOperations transactions) {
        this.tally = tally;
        this.scheduler = scheduler;
        this.settings = settings;
        this.maintenance = maintenance;
        this.backoff = backoff;
        this.transactions = transactions;
    }

    @EventListener(ApplicationReadyEvent.class)
    void begin() {
        transactions.executeWithoutResult(status -> changed(() -> {
            schedule(SynchronizeJob.class, NAME, QuartzJobs.every(settings.follow()));
            if (maintenance.enabled()) {
                schedule(MaintenanceJob.class, MAINTENANCE, QuartzJobs.at(maintenance.cron()));
            } else {
                scheduler.deleteJob(new JobKey(MAINTENANCE, GROUP));
            }
        }));
    }

    private void schedule(Class<? extends Job> type, String name, ScheduleBuilder<? extends Trigger> when)
            throws SchedulerException {
        JobDetail job =
                JobBuilder.newJob(type).withIdentity(name, GROUP).storeDurably().build();
        Trigger trigger = TriggerBuilder.newTrigger()
                .withIdentity(name, GROUP)
                .withSchedule(when)
                .build();
        scheduler.scheduleJob(job, Set.of(trigger), true);
    }

    void synchronize() {
        if (!backoff.mayTry(NAME)) {
            return;
        }
        try {
            transactions.executeWithoutResult(status -> synchronizeAll());
            backoff.succeeded(NAME);
        } catch (RuntimeException e) {
            backoff.failed(NAME, QuartzJobs.message(e));
        }
    }

    /** Call it in a transaction: the job store locks a row while it changes anything. */
    void synchronizeAll() {
        List<DueView> due = tally.due();
        Set<String> names = due.stream().map(DueView::name).collect(Collectors.toSet());
        changed(() -> {
            for (DueView view : due) {
                keep(view);
            }
            for (JobKey job : scheduler.getJobKeys(GroupMatcher.jobGroupEquals(QuartzJobs.VIEWS))) {
                if (!names.contains(job.getName())) {
                    scheduler.deleteJob(job);
                }
            }
        });
    }

    /** SQL accepts any cron with the right number of fields. For one that Quartz refuses, the view's job is not changed. */
    private void keep(DueView view) throws SchedulerException {
        String name = "schedule of " + view.name();
        Optional<String> problem = Optional.ofNullable(view.cron()).flatMap(Cron::problem);
        if (problem.isPresent()) {
            backoff.reported(name, problem.get());
        } else {
            QuartzJobs.keep(scheduler, view, settings.interval());
            backoff.succeeded(name);
        }
    }

    /** A change of the job store. */
    private interface Change {
        void apply() throws SchedulerException;
    }

    private static void changed(Change change) {
        try {
            change.apply();
        } catch (SchedulerException e) {
            throw new IllegalStateException(e.getMessage(), e);
        }
    }
}
