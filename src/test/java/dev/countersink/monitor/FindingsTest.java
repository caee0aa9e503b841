package dev.countersink.monitor;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.monitor.Finding.Level;
import java.time.Duration;
import java.util.Set;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** What is found wrong, from rows as the database returns them. */
class FindingsTest {
    private static final JsonMapper JSON = JsonMapper.shared();

    private final Findings findings = new Findings(Duration.ofSeconds(1));

    @Test
    void aFreshViewIsNoFinding() {
        assertThat(add("'lag':9.9,'pending':3")).isEqualTo(Level.OK);
        assertThat(findings.sorted()).isEmpty();
    }

    @Test
    void aViewIsLateAboveItsTargetOrAfterTenIntervals() {
        assertThat(add("'lag':0.3,'target_lag_ms':200,'pending':2")).isEqualTo(Level.BAD);
        assertThat(sentence()).isEqualTo("a.v is 300 ms behind, with 2 pending; it should be at most 200 ms");
        assertThat(add("'lag':0.1,'target_lag_ms':200")).isEqualTo(Level.OK);
        assertThat(add("'lag':599,'interval_ms':60000")).isEqualTo(Level.OK);
        assertThat(add("'lag':601,'interval_ms':60000")).isEqualTo(Level.BAD);
        assertThat(add("'lag':11")).isEqualTo(Level.BAD);
        assertThat(add("'lag':100000,'cron':'0 0 3 * * ?'")).isEqualTo(Level.OK);
    }

    @Test
    void theWorstIsFirst() {
        assertThat(add("'state':'paused','pending':7")).isEqualTo(Level.WARN);
        assertThat(add("'failures':2,'error':'no such table','error_sqlstate':'42P01'"))
                .isEqualTo(Level.BAD);
        findings.addDeadLetters(1);
        assertThat(findings.sorted())
                .extracting(Finding::sentence)
                .containsExactly(
                        "a.v cannot be merged: no such table (42P01)",
                        "a.v is paused, with 7 pending",
                        "1 message could not be applied");
    }

    @Test
    void aViewThatIsBeingFilledIsToldUnlessACronFillsIt() {
        assertThat(add("'state':'filling','progress':0.42")).isEqualTo(Level.WARN);
        assertThat(sentence()).isEqualTo("a.v is being filled: 42 %");
        assertThat(add("'state':'filling','cron':'0 0 3 * * ?','progress':null"))
                .isEqualTo(Level.OK);
    }

    @Test
    void quarantinedKeysAndWrongRowsAreBad() {
        assertThat(add("'quarantined':1,'error':'key [12]: division by zero'")).isEqualTo(Level.BAD);
        assertThat(sentence()).isEqualTo("a.v keeps old rows of 1 key: key [12]: division by zero");
        findings.addVerified(json("{'view':'a.v','differences':2,'repaired':false}"));
        findings.addVerified(json("{'view':'a.w','differences':2,'repaired':true}"));
        findings.addVerified(json("{'view':'a.x','differences':0,'repaired':false}"));
        assertThat(findings.sorted()).extracting(Finding::level).containsExactly(Level.BAD, Level.BAD, Level.WARN);
    }

    @Test
    void anAlertThatNothingElseTellsIsAFinding() {
        for (String rule : new String[] {"ViewLate", "DeadLetters", "TriggerInError", "NatsAway"}) {
            findings.addAlert(
                    json("{'rule':'%1$s','subject':'%2$s','level':'bad','sentence':'%1$s fires','remedy':'Look.'}"
                            .formatted(rule, rule.equals("NatsAway") ? "instance-1" : "a.v")),
                    Set.of("a.v"));
        }
        assertThat(findings.sorted())
                .containsExactly(
                        new Finding(Level.BAD, "a.v", "TriggerInError fires", "Look."),
                        new Finding(Level.BAD, null, "NatsAway fires", "Look."));
    }

    @Test
    void aRollupHasTheTroubleOfItsProjection() {
        assertThat(add("'projection':'a.p','lag':1000,'failures':3,'error':'x'"))
                .isEqualTo(Level.OK);
    }

    @Test
    void aLevelIsWrittenInSmallLetters() {
        findings.addDeadLetters(2);
        assertThat(JSON.writeValueAsString(findings.sorted().get(0))).contains("\"level\":\"warn\"");
    }

    private String sentence() {
        return findings.sorted().get(0).sentence();
    }

    private Level add(String fields) {
        return findings.addView(json("{'name':'a.v','state':'active'," + fields + "}"));
    }

    private static JsonNode json(String text) {
        return JSON.readTree(text.replace('\'', '"'));
    }
}
