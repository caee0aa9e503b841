package dev.countersink.jobs;

import dev.countersink.config.Cron;
import dev.countersink.db.DueView;
import dev.countersink.db.SqlError;
import java.time.Duration;
import java.util.Objects;
import java.util.Set;
import org.quartz.CronScheduleBuilder;
import org.quartz.CronTrigger;
import org.quartz.Job;
import org.quartz.JobBuilder;
import org.quartz.JobDetail;
import org.quartz.JobExecutionContext;
import org.quartz.JobKey;
import org.quartz.ScheduleBuilder;
import org.quartz.Scheduler;
import org.quartz.SchedulerException;
import org.quartz.SimpleScheduleBuilder;
import org.quartz.SimpleTrigger;
import org.quartz.Trigger;
import org.quartz.TriggerBuilder;
import org.quartz.TriggerKey;

/** Quartz's jobs, by the names that Countersink gives them. */
final class QuartzJobs {
    static final String VIEWS = "views";
    private static final String RUNS = "runs";
    private static final String RUN = "run";

    private QuartzJobs() {}

    static String view(JobExecutionContext context) {
        return context.getJobDetail().getKey().getName();
    }

    static long run(JobExecutionContext context) {
        return context.getMergedJobDataMap().getLongValueFromString(RUN);
    }

    static String message(Throwable failure) {
        return SqlError.in(failure).map(SqlError::message).orElseGet(failure::toString);
    }

    /** Starts a run at once, on any instance. If that instance crashes, another one repeats it. */
    static void runNow(Scheduler scheduler, long run) throws SchedulerException {
        JobDetail job = JobBuilder.newJob(RunJob.class)
                .withIdentity(RUN + run, RUNS)
                .usingJobData(RUN, Long.toString(run))
                .requestRecovery()
                .build();
        Trigger trigger =
                TriggerBuilder.newTrigger().withIdentity(RUN + run, RUNS).build();
        scheduler.scheduleJob(job, trigger);
    }

    /** Creates or updates a view's Quartz job if it differs from the catalog. */
    static void keep(Scheduler scheduler, DueView view, Duration standard) throws SchedulerException {
        Duration interval = view.intervalMs() == null ? standard : Duration.ofMillis(view.intervalMs());
        TriggerKey key = new TriggerKey(view.name(), VIEWS);
        int priority = Trigger.DEFAULT_PRIORITY + view.priority();
        if (!isSo(scheduler.getTrigger(key), view.cron(), interval, priority)) {
            JobDetail job = JobBuilder.newJob(jobClass(view))
                    .withIdentity(new JobKey(view.name(), VIEWS))
                    .storeDurably()
                    .build();
            Trigger trigger = TriggerBuilder.newTrigger()
                    .withIdentity(key)
                    .withSchedule(schedule(view.cron(), interval))
                    .withPriority(priority)
                    .build();
            scheduler.scheduleJob(job, Set.of(trigger), true);
        }
    }

    /** A schedule with a fixed interval. Missed executions are not made up for. */
    static ScheduleBuilder<? extends Trigger> every(Duration interval) {
        return SimpleScheduleBuilder.simpleSchedule()
                .withIntervalInMilliseconds(interval.toMillis())
                .repeatForever()
                .withMisfireHandlingInstructionNextWithRemainingCount();
    }

    private static ScheduleBuilder<? extends Trigger> schedule(String cron, Duration interval) {
        return cron == null ? every(interval) : at(cron);
    }

    /** A schedule by cron. If no thread was free in time, it runs once as soon as one is. */
    static ScheduleBuilder<? extends Trigger> at(String cron) {
        return CronScheduleBuilder.cronSchedule(cron)
                .inTimeZone(Cron.ZONE)
                .withMisfireHandlingInstructionFireAndProceed();
    }

    private static boolean isSo(Trigger trigger, String cron, Duration interval, int priority) {
        if (trigger == null || trigger.getPriority() != priority) {
            return false;
        }
        if (trigger instanceof CronTrigger c) {
            return Objects.equals(c.getCronExpression(), cron)
                    && c.getTimeZone().hasSameRules(Cron.ZONE);
        }
        return trigger instanceof SimpleTrigger s && cron == null && s.getRepeatInterval() == interval.toMillis();
    }

    private static Class<? extends Job> jobClass(DueView view) {
        return "merge".equals(view.action()) ? MergeJob.class : RefreshJob.class;
    }
}
