package dev.countersink.jobs;

import dev.countersink.db.ControlDb;
import dev.countersink.db.SqlError;
import org.quartz.Job;
import org.quartz.JobExecutionContext;
import org.quartz.JobExecutionException;
import org.quartz.SchedulerException;

/** Executes one requested run, and stores its result. */
class RunJob implements Job {
    private static final String INTERNAL_ERROR = "XX000";

    private final ControlDb control;
    private final ViewActions actions;

    RunJob(ControlDb control, ViewActions actions) {
        this.control = control;
        this.actions = actions;
    }

    @Override
    public void execute(JobExecutionContext context) throws JobExecutionException {
        long run = QuartzJobs.run(context);
        String instance;
        try {
            instance = context.getScheduler().getSchedulerInstanceId();
        } catch (SchedulerException e) {
            throw new JobExecutionException(e);
        }
        carryOut(run, instance);
    }

    void carryOut(long run, String instance) {
        control.beginRun(run, instance).ifPresent(task -> perform(run, task));
    }

    private void perform(long run, ControlDb.Task task) {
        try {
            control.finishRun(run, actions.perform(task));
        } catch (RuntimeException e) {
            SqlError error = SqlError.in(e).orElseGet(() -> new SqlError(INTERNAL_ERROR, e.toString(), null));
            control.failRun(run, error.code(), error.message(), error.hint());
        }
    }
}
