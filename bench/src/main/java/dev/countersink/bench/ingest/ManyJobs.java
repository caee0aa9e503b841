package dev.countersink.bench.ingest;

import dev.countersink.bench.BenchDatabase;
import dev.countersink.bench.engine.Aim;
import dev.countersink.bench.engine.Figure;
import dev.countersink.demo.Workload;
import java.util.List;
import java.util.Locale;

/** The same messages as few jobs and as many. */
final class ManyJobs implements Scenario {
    private static final int MESSAGES = 10_000;
    private static final int FEW = 100;
    private static final int MANY = 500;
    private static final Aim AIM = Aim.atMost(1.3);

    @Override
    public String name() {
        return "jobs";
    }

    @Override
    public String does() {
        return "10,000 messages of 100 jobs, and of 500, one of each job in turn: to the last commit; the ratio is 500 against 100.";
    }

    @Override
    public int captures(Lab lab) {
        return lab.scaled(MESSAGES, 2 * MANY);
    }

    @Override
    public List<Figure> run(Lab lab) throws Exception {
        seconds(lab, FEW); // warms up
        double few = seconds(lab, FEW);
        double many = seconds(lab, MANY);
        return List.of(
                Figure.only("100 jobs", String.format(Locale.ROOT, "%.2f s", few)),
                new Figure("500 jobs", String.format(Locale.ROOT, "%.2f s", many), many / few, AIM));
    }

    private double seconds(Lab lab, int jobs) throws Exception {
        int messages = captures(lab);
        BenchDatabase database = lab.database();
        database.run("SELECT bench.jobs(" + jobs + ")");
        Workload workload = new Workload(1);
        for (int i = 0; i < messages; i++) {
            lab.publish(1 + i % jobs, workload, 1 + i, 1);
        }
        lab.awaitStored();
        try (Instance instance = lab.instance(database, 0).start()) {
            instance.awaitCommitted(messages);
            double seconds = instance.seconds();
            lab.say("%d jobs: %.2f s", jobs, seconds);
            return seconds;
        } finally {
            database.drop();
        }
    }
}
