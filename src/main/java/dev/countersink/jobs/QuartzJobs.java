package dev.countersink.jobs;

import dev.countersink.config.Cron;
import dev.countersink.db.SqlError;
import java.util.Set;
import org.quartz.CronScheduleBuilder;
import org.quartz.CronTrigger;
import org.quartz.JobBuilder;
import org.quartz.JobDetail;
import org.quartz.JobExecutionContext;
import org.quartz.JobKey;
import org.quartz.Scheduler;
import org.quartz.SchedulerException;
import org.quartz.Trigger;
import org.quartz.TriggerBuilder;
import org.quartz.TriggerKey;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Quartz's jobs by the names that Countersink gives them: those that are scheduled by the clock. */
final class QuartzJobs {
    static final String VIEWS = "views";
    static final String CONTROL = "control";
    private static final Logger LOG = LoggerFactory.getLogger("dev.countersink.jobs");

    private QuartzJobs() {}

    static String name(JobExecutionContext context) {
        return context.getJobDetail().getKey().getName();
    }

    static boolean isOfView(JobExecutionContext context) {
        return VIEWS.equals(context.getJobDetail().getKey().getGroup());
    }

    static String message(Throwable failure) {
        return SqlError.in(failure).map(SqlError::message).orElseGet(failure::toString);
    }

    /**
     * Creates or changes a job if it differs from what is wanted. A trigger in state ERROR, which Quartz would leave so for
     * ever, is put right: an instance of another release could not load its job.
     */
    static void keep(Scheduler scheduler, JobKey key, String cron, int priority) throws SchedulerException {
        if (isAt(scheduler.getTrigger(trigger(key)), cron, priority) && isOurs(scheduler, key)) {
            mend(scheduler, key);
        } else {
            schedule(scheduler, key, cron, priority);
        }
    }

    /** Puts a trigger right that Quartz has set to ERROR. */
    static void mend(Scheduler scheduler, JobKey key) throws SchedulerException {
        if (scheduler.getTriggerState(trigger(key)) == Trigger.TriggerState.ERROR) {
            LOG.warn("{}: its trigger was in error, and is set right", key.getName());
            scheduler.resetTriggerFromErrorState(trigger(key));
        }
    }

    private static TriggerKey trigger(JobKey key) {
        return new TriggerKey(key.getName(), key.getGroup());
    }

    /** Fires by a cron; if no thread was free in time, once as soon as one is. */
    private static void schedule(Scheduler scheduler, JobKey key, String cron, int priority) throws SchedulerException {
        JobDetail job = JobBuilder.newJob(ScheduledJob.class)
                .withIdentity(key)
                .storeDurably()
                .build();
        Trigger next = TriggerBuilder.newTrigger()
                .withIdentity(key.getName(), key.getGroup())
                .withSchedule(CronScheduleBuilder.cronSchedule(cron)
                        .inTimeZone(Cron.ZONE)
                        .withMisfireHandlingInstructionFireAndProceed())
                .withPriority(priority)
                .build();
        scheduler.scheduleJob(job, Set.of(next), true);
    }

    private static boolean isAt(Trigger trigger, String cron, int priority) {
        return trigger instanceof CronTrigger c
                && c.getPriority() == priority
                && cron.equals(c.getCronExpression())
                && c.getTimeZone().hasSameRules(Cron.ZONE);
    }

    /** Whether a job would be carried out by this release: one of an earlier release may name a class that is gone. */
    private static boolean isOurs(Scheduler scheduler, JobKey key) {
        try {
            JobDetail job = scheduler.getJobDetail(key);
            return job != null && ScheduledJob.class.equals(job.getJobClass());
        } catch (SchedulerException e) {
            return false;
        }
    }
}
