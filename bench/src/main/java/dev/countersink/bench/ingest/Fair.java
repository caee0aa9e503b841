package dev.countersink.bench.ingest;

import dev.countersink.bench.BenchDatabase;
import dev.countersink.bench.engine.Aim;
import dev.countersink.bench.engine.Figure;
import dev.countersink.demo.Workload;
import java.util.List;
import java.util.Locale;

/** A small job behind a large one, and behind jobs of garbage. */
final class Fair implements Scenario {
    private static final int LARGE = 50_000;
    private static final int SMALL = 500;
    private static final int GARBAGE = 5_000;
    private static final Aim AIM = Aim.atMost(3);

    @Override
    public String name() {
        return "fair";
    }

    @Override
    public String does() {
        return "A job of 500 messages alone; published after a job of 50,000; and after that one and two jobs with 5,000 messages each that are no JSON. "
                + "From the start of the ingestion to the commit of the small job's last message; the ratio is against the time alone.";
    }

    @Override
    public int captures(Lab lab) {
        return lab.scaled(LARGE, 200);
    }

    @Override
    public List<Figure> run(Lab lab) throws Exception {
        seconds(lab, 0, 0); // warms up
        double alone = seconds(lab, 0, 0);
        double behind = seconds(lab, lab.scaled(LARGE, 200), 0);
        double garbage = seconds(lab, lab.scaled(LARGE, 200), lab.scaled(GARBAGE, 20));
        return List.of(
                Figure.only("500 messages alone", text(alone)),
                new Figure("behind 50,000 of another job", text(behind), behind / alone, AIM),
                new Figure(
                        "behind 50,000 of another job and two jobs of garbage", text(garbage), garbage / alone, AIM));
    }

    private static String text(double seconds) {
        return String.format(Locale.ROOT, "%.2f s", seconds);
    }

    private static double seconds(Lab lab, int large, int garbage) throws Exception {
        int small = lab.scaled(SMALL, 10);
        BenchDatabase database = lab.database();
        database.run("SELECT bench.jobs(4)");
        lab.publish(1, new Workload(1), 1, large);
        for (int i = 0; i < garbage; i++) {
            lab.publish(3, "{\"pipeline\": " + i);
            lab.publish(4, "garbage " + i);
        }
        lab.publish(2, new Workload(2), 1, small);
        lab.awaitStored();
        try (Instance instance = lab.instance(database, 0).start()) {
            instance.awaitNumber("(SELECT count(*) FROM results.job_capture WHERE job_id = 2)", small);
            double seconds = instance.seconds();
            lab.say("behind %d and 2 times %d of garbage: %.2f s", large, garbage, seconds);
            return seconds;
        } finally {
            lab.purge();
            database.drop();
        }
    }
}
