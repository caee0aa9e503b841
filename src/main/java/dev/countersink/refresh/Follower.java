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

/** Makes Quartz's jobs follow the catalog: one for each derived view that {@code tally.due()} lists, none besides. */
@Component
class Follower {
    private static final String NAME = "follow";
    private static final String GROUP = "control";

    private final TallyDb tally;
    private final Scheduler scheduler;
    private final RefreshSettings settings;
    private final Troubles troubles;

    Follower(TallyDb tally, Scheduler scheduler, RefreshSettings settings, Troubles troubles) {
        this.tally = tally;
        this.scheduler = scheduler;
        this.settings = settings;
        this.troubles = troubles;
    }

    @EventListener(ApplicationReadyEvent.class)
    void begin() throws SchedulerException {
        JobDetail job = JobBuilder.newJob(FollowJob.class)
                .withIdentity(NAME, GROUP)
                .storeDurably()
                .build();
        Trigger trigger = TriggerBuilder.newTrigger()
                .withIdentity(NAME, GROUP)
                .withSchedule(Schedule.every(settings.follow()))
                .build();
        scheduler.scheduleJob(job, Set.of(trigger), true);
    }

    void follow() {
        if (!troubles.mayTry(NAME)) {
            return;
        }
        try {
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
            troubles.succeeded(NAME);
        } catch (SchedulerException | RuntimeException e) {
            troubles.failed(NAME, Schedule.message(e));
        }
    }
}
