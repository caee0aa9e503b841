package dev.countersink.jobs;

import dev.countersink.config.Cron;
import dev.countersink.config.MaintenanceSettings;
import dev.countersink.db.DueView;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.quartz.JobKey;
import org.quartz.Scheduler;
import org.quartz.SchedulerException;
import org.quartz.Trigger;
import org.quartz.impl.matchers.GroupMatcher;
import org.springframework.boot.context.event.ApplicationReadyEvent;
import org.springframework.context.event.EventListener;
import org.springframework.stereotype.Component;
import org.springframework.transaction.support.TransactionOperations;

/** Makes Quartz's jobs follow the catalog and the settings: one for each derived view with a cron, the maintenance, none besides. */
@Component
class JobSynchronizer {
    private static final String NAME = "schedules";
    private static final JobKey MAINTENANCE = new JobKey(Maintenance.NAME, QuartzJobs.CONTROL);

    private final Scheduler scheduler;
    private final MaintenanceSettings maintenance;
    private final RetryBackoff backoff;
    private final TransactionOperations transactions;

    JobSynchronizer(
            Scheduler scheduler,
            MaintenanceSettings maintenance,
            RetryBackoff backoff,
            TransactionOperations transactions) {
        this.scheduler = scheduler;
        this.maintenance = maintenance;
        this.backoff = backoff;
        this.transactions = transactions;
    }

    /** Schedules the maintenance as the settings say: of instances with other settings the last one to start decides. */
    @EventListener(ApplicationReadyEvent.class)
    void begin() {
        transactions.executeWithoutResult(status -> changed(() -> {
            if (maintenance.enabled()) {
                QuartzJobs.keep(scheduler, MAINTENANCE, maintenance.cron(), Trigger.DEFAULT_PRIORITY);
            } else {
                scheduler.deleteJob(MAINTENANCE);
            }
        }));
    }

    /** Nothing is written unless something differs. */
    void synchronize(List<DueView> due) {
        if (!backoff.mayTry(NAME)) {
            return;
        }
        try {
            transactions.executeWithoutResult(status -> synchronizeAll(due));
            backoff.succeeded(NAME);
        } catch (RuntimeException e) {
            backoff.failed(NAME, QuartzJobs.message(e));
        }
    }

    private void synchronizeAll(List<DueView> due) {
        List<DueView> timed = due.stream().filter(view -> view.cron() != null).toList();
        Set<JobKey> wanted = timed.stream().map(JobSynchronizer::key).collect(Collectors.toSet());
        wanted.add(MAINTENANCE);
        changed(() -> {
            for (DueView view : timed) {
                keep(view);
            }
            QuartzJobs.mend(scheduler, MAINTENANCE);
            for (JobKey job : scheduler.getJobKeys(GroupMatcher.anyJobGroup())) {
                if (!wanted.contains(job)) {
                    scheduler.deleteJob(job);
                }
            }
        });
    }

    /** SQL takes any cron of the right length; one that cannot be used leaves that view's job as it was. */
    private void keep(DueView view) throws SchedulerException {
        String name = "schedule of " + view.name();
        String cron = Objects.requireNonNull(view.cron(), "cron");
        Optional<String> problem = Cron.problem(cron);
        if (problem.isPresent()) {
            backoff.reported(name, problem.get());
        } else {
            QuartzJobs.keep(scheduler, key(view), cron, Trigger.DEFAULT_PRIORITY + view.priority());
            backoff.succeeded(name);
        }
    }

    private static JobKey key(DueView view) {
        return new JobKey(view.name(), QuartzJobs.VIEWS);
    }

    /** What changes the job store. */
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
