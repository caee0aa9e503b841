package dev.countersink.admin;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.db.Database;
import dev.countersink.ingest.Messages;
import dev.countersink.ingest.Rig;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.ItemView;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestInstance;
import java.io.IOException;
import java.sql.Connection;
import java.sql.Statement;
import java.util.Arrays;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.openqa.selenium.By;
import org.openqa.selenium.Keys;
import org.openqa.selenium.WindowType;
import tools.jackson.databind.JsonNode;

/** The dashboard in a real browser. Screenshots are left in target/screenshots. */
class DashboardTest {
    private static final String ROW = "tr[data-key='app.item_fact'] ";

    private static Rig rig;
    private static Sql sql;
    private static TestInstance instance;
    private static Browser browser;
    private static String base;

    @BeforeAll
    static void start() throws Exception {
        browser = new Browser();
        rig = new Rig();
        rig.seed(100);
        sql = new Sql(rig.database());
        ItemView.create(sql);
        sql.run("""
                SELECT tally.create_rollup('app.item_sum', 'app.item_fact', '{}', '{"items":"count(*)", "share":"sum(share)"}');
                SELECT tally.create_rollup('app.by_share', 'app.item_fact', '{share}', '{"items":"count(*)"}');
                SELECT count(*) FROM tally.refresh('app.item_fact')""");
        instance = TestInstance.start(rig.database(), rig.nats(), Map.of("countersink.refresh.interval", "1h"));
        base = "http://127.0.0.1:" + instance.port() + "/";
    }

    @AfterAll
    static void stop() throws Exception {
        for (AutoCloseable started : Arrays.asList(browser, instance, sql, rig)) {
            if (started != null) {
                started.close();
            }
        }
    }

    @BeforeEach
    void signIn() {
        browser.driver().manage().deleteAllCookies();
        browser.open("about:blank");
        browser.open(base);
        browser.type("#token", TestInstance.token());
        browser.click("button[type=submit]");
        browser.await("#line .sentence", "");
        browser.await(ROW + "th", ItemView.NAME);
    }

    @AfterEach
    void nothingWasLogged() {
        assertThat(browser.errors()).isEmpty();
    }

    @Test
    void whoIsNotSignedInSeesNothing() throws Exception {
        browser.click("#sign-out");
        browser.await("h1", "Countersink");
        assertThat(browser.driver().findElements(By.cssSelector("table, #line")))
                .isEmpty();
        assertThat(browser.driver().manage().getCookies()).isEmpty();
        browser.open(base + "#/view/app.item_fact");
        browser.driver().navigate().refresh();
        browser.await("h1", "Countersink");
        assertThat(browser.text("body")).doesNotContain("item_fact");
        browser.type("#token", "another-token-for-tests");
        browser.click("button[type=submit]");
        browser.await("#refused", "not valid");
        browser.screenshot("sign-in");
        browser.type("#token", TestInstance.token());
        browser.click("button[type=submit]");
        browser.await("h1", "app.item_fact");
    }

    @Test
    void whatARoleMayNotIsDisabled() throws Exception {
        String reader = instance.send(
                        "POST", "/api/tokens", TestInstance.token(), "{\"name\":\"a-reader\",\"role\":\"reader\"}")
                .json()
                .path("token")
                .asString();
        browser.click("#sign-out");
        browser.type("#token", reader);
        browser.click("button[type=submit]");
        browser.await("#line .sentence", "");
        browser.open(base + "#/view/app.item_fact");
        browser.await("#refresh", "Refresh");
        browser.await("#schedule-save", "Store");
        assertThat(browser.driver()
                        .findElements(By.cssSelector(
                                "#refresh:disabled, #rebuild:disabled, #pause:disabled, #schedule-save:disabled")))
                .hasSize(4);
        browser.screenshot("view-of-a-reader");
        assertThat(browser.inaccessible()).isEmpty();
    }

    @Test
    void everyCallCanBeTried() throws Exception {
        browser.open(base + "#/now");
        browser.click("footer a");
        browser.await("#who", "COUNTERSINK_API_TOKEN, owner");
        String first = "#operations section:nth-of-type(1) details:nth-of-type(1) ";
        browser.await(first + "summary", "GET /api/now");
        browser.click(first + "summary");
        browser.click(first + "button");
        browser.await(first + "pre", "200", "\"level\": \"");
        browser.screenshot("try");
        assertThat(browser.inaccessible()).isEmpty();
    }

    /** A lock keeps the merge waiting; when it is gone, the view is fresh again. */
    @Test
    void aViewGoesStaleAndFresh() throws Exception {
        browser.await("#line", "All well");
        try (Connection blocker = Database.connect(rig.database());
                Statement statement = blocker.createStatement()) {
            blocker.setAutoCommit(false);
            statement.execute("LOCK TABLE app.item_fact IN SHARE ROW EXCLUSIVE MODE");
            sql.run("SELECT tally.schedule('app.item_fact', '{\"target_lag\":\"100ms\"}')");
            sql.run("INSERT INTO app.item VALUES (11, 10)");
            browser.await(
                    "#line", "Wrong or late", "app.item_fact is ", " behind, with ", "it should be at most 100 ms");
            browser.await(ROW + "td:nth-of-type(3)", " of 100 ms");
            browser.await("#transactions", "SHARE ROW EXCLUSIVE MODE", "1 session, 1 of ours");
            screenshots("now-late");
            browser.click("#transactions tbody tr button");
            browser.click("dialog button.main");
            Eventually.await("its session is ended", () -> blocker.isValid(1), valid -> !valid);
        }
        browser.await("#line", "All well");
        browser.await(ROW + "td:nth-of-type(2)", "0");
        screenshots("now-fresh");
        sql.run("SELECT tally.schedule('app.item_fact', '{\"target_lag\":null}')");
    }

    @Test
    void aKeyThatCannotBeEvaluatedIsNamed() throws Exception {
        sql.run("INSERT INTO app.item VALUES (12, 0)");
        refreshByClick();
        browser.await(".finding.bad", "app.item_fact keeps old rows of 1 key", "division by zero");
        browser.open(base + "#/view/app.item_fact");
        browser.driver().navigate().refresh();
        browser.await("#quarantine", "id = 12", "22012");
        screenshots("view-quarantine");
        sql.run("UPDATE app.item SET n = 5 WHERE id = 12");
        refreshByClick();
        browser.open(base + "#/now");
        browser.await("#line", "All well");
    }

    @Test
    void aViewIsRefreshedByAClick() throws Exception {
        sql.run("INSERT INTO app.item VALUES (13, 10)");
        refreshByClick();
        assertThat(sql.number("SELECT share FROM app.item_fact WHERE id = 13")).isEqualTo(10);
        browser.await("table[data-key=runs] tbody tr", "refresh", "done", "merged");
        screenshots("view");
    }

    @Test
    void whatAVerificationFindsIsSeenUntilItIsRepaired() {
        sql.run("INSERT INTO app.item VALUES (14, 10)");
        refreshByClick();
        sql.run("UPDATE app.item_fact SET share = 99 WHERE id = 14");
        browser.click("#verify");
        browser.await("table[data-key=runs] tbody tr", "verify", "done", "rows differ");
        browser.await(".finding.bad", "app.item_fact has ", "wrong");
        browser.click("#repair");
        browser.click("dialog button.main");
        browser.await("table[data-key=runs] tbody tr", "repair", "done");
        browser.click("#verify");
        browser.await("table[data-key=runs] tbody tr", "verify", "done", "equal to its definition");
        browser.await("#state", "active");
        Eventually.await("no finding", () -> browser.text(".finding"), String::isEmpty);
    }

    @Test
    void theSecondOfTwoWhoEditAScheduleIsTold() {
        browser.open(base + "#/view/app.item_fact");
        browser.type("#schedule-priority", "3");
        String first = browser.driver().getWindowHandle();
        browser.driver().switchTo().newWindow(WindowType.TAB);
        browser.open(base + "#/view/app.item_fact");
        browser.type("#schedule-interval", "90 s");
        browser.click("#schedule-save");
        browser.await("#said", "The schedule of app.item_fact is changed");
        browser.driver().close();
        browser.driver().switchTo().window(first);
        browser.click("#schedule-save");
        browser.await("#schedule-refused", "Somebody else has changed this schedule", "interval 90 s", "priority 0");
        assertThat(sql.number("SELECT priority FROM tally.status WHERE name = 'app.item_fact'"))
                .isZero();
        browser.click("#theirs");
        Eventually.await("theirs is shown", () -> browser.value("#schedule-interval"), "90 s"::equals);
        browser.type("#schedule-priority", "3");
        browser.click("#schedule-save");
        Eventually.await(
                "it is stored",
                () -> sql.number("SELECT priority FROM tally.status WHERE name = 'app.item_fact'"),
                priority -> priority == 3);
        sql.run("SELECT tally.schedule('app.item_fact', '{\"interval\":null,\"priority\":null}')");
    }

    @Test
    void aDeadLetterIsReplayedAndAnotherDiscarded() throws Exception {
        rig.publish(
                "results.9", Messages.result(7, Messages.detection(7, 1, Messages.classification("Vanessa", 0.85))));
        rig.publish("results.8", "no JSON");
        browser.open(base + "#/ingestion");
        browser.await("#letter-count", "2 of 2");
        browser.type("#q", "results.9");
        browser.await("#letter-count", "1 of 2");
        assertThat(browser.driver().getCurrentUrl()).contains("q=results.9");
        screenshots("ingestion");
        rig.execute("INSERT INTO results.job (id, project_id, pipeline_id) VALUES (9, 1, 1)");
        browser.click("#letters .replay");
        browser.await("#letter-count", "0 of 1");
        assertThat(rig.number("SELECT count(*) FROM results.detection WHERE capture_id = 7"))
                .isOne();
        browser.type("#q", "results.8");
        browser.await("#letter-count", "1 of 1");
        browser.click("#letters .discard");
        browser.click("dialog button.main");
        browser.await("#no-letters", "There are none");
        assertThat(rig.number("SELECT count(*) FROM results.dead_letter WHERE subject = 'results.8'"))
                .isZero();
    }

    /** With two reasons, a click chooses one, and all that wait for it are replayed, however many pages they fill. */
    @Test
    void allThatWaitForAReasonAreReplayedByAClick() throws Exception {
        rig.execute(
                "INSERT INTO results.dead_letter (stream, stream_seq, subject, payload, reason, sqlstate, replayed_at)"
                        + " SELECT 'OLD', g, 'results.1', 'x', 'long ago', 'RS001', now() FROM generate_series(1, 150) g");
        rig.publish("results.8", Messages.result(4));
        rig.publish("results.8", Messages.result(5));
        rig.publish("results.1", "no JSON");
        browser.open(base + "#/ingestion");
        browser.await("#letter-count", "3 of 3");
        browser.await("#reasons", "RS001: 2", "RS010: 1");
        browser.click("#reasons button[data-key=RS001]");
        browser.await("#letter-count", "2 of 2");
        assertThat(browser.driver().getCurrentUrl()).contains("code=RS001");
        browser.await("#replay-all", "Replay all 2 of RS001");
        screenshots("ingestion-reasons");
        rig.execute("INSERT INTO results.job (id, project_id, pipeline_id) VALUES (8, 1, 1)");
        browser.click("#replay-all");
        browser.click("dialog button.main");
        browser.await("#letter-count", "0 of 0");
        browser.click("#reasons button[data-key=RS010]");
        browser.await("#letter-count", "1 of 1");
        rig.execute("DELETE FROM results.dead_letter; DELETE FROM results.job WHERE id = 8");
    }

    /** While a lock keeps the writers waiting, one sees for how long messages have waited, and to what this instance is connected. */
    @Test
    void messagesThatWaitGrowOld() throws Exception {
        try (Connection blocker = Database.connect(rig.database());
                Statement statement = blocker.createStatement()) {
            blocker.setAutoCommit(false);
            statement.execute("LOCK TABLE results.detection IN EXCLUSIVE MODE");
            rig.publish("results.2", Messages.result(1));
            browser.open(base + "#/ingestion");
            browser.await("#jobs tr[data-key='2'] td[data-label='The oldest']", " old");
            browser.await("dl.figures", "The oldest", " old");
            browser.await("#connections tr[data-key=NATS]", "connected", "nats://", "nats-server 2.");
            browser.await("#connections tr[data-key=PostgreSQL]", " of 12 in use", "jdbc:postgresql://");
            Eventually.await(
                    "it is measured",
                    () -> instance.get("/actuator/prometheus").response().body(),
                    metrics -> metrics.contains("countersink_ingest_job_backlog_messages{job=\"2\"} 1")
                            && metrics.contains("countersink_ingest_job_oldest_age_seconds{job=\"2\"} "));
            screenshots("ingestion-waiting");
        }
        rig.awaitFinished();
        Eventually.await(
                "nothing is old", () -> instance.get("/api/ingest").json().path("oldestSeconds"), JsonNode::isNull);
    }

    @Test
    void aNumberIsFollowedDownToTheRowsThatItIsMadeOf() throws Exception {
        sql.run("INSERT INTO app.item VALUES (31, 4), (32, 4)");
        sql.run("SELECT count(*) FROM tally.refresh('app.item_fact')");
        sql.run("INSERT INTO app.item VALUES (33, 4)");
        browser.open(base + "#/view/app.by_share");
        browser.type("#why-0", "25");
        browser.click("#why-ask");
        browser.await("#why-verdict", "The stored row is behind");
        browser.await("#why-forms tbody tr:nth-child(1)", "Stored", "2", "25");
        browser.await("#why-forms tbody tr:nth-child(2)", "Live", "3", "25");
        browser.await("#why-forms tbody tr:nth-child(3)", "By the definition", "3", "25");
        browser.await("#why-below tbody", "31", "32");
        screenshots("why");
        browser.type("#why-0", "no number");
        browser.click("#why-ask");
        browser.await("#why-refused", "no number");
        sql.run("SELECT count(*) FROM tally.refresh('app.item_fact')");
        browser.open(base + "#/view/app.item_fact?cell=%7B%22id%22:33%7D");
        browser.await("#why-verdict", "All three are equal");
        browser.await("#why-changed", "last written by the merge in transaction");
        browser.click("#why-base summary");
        browser.await("#why-base", "app.item", "33", "4");
        screenshots("why-base");
    }

    @Test
    void numbersAreComparedDigitForDigit() {
        sql.run("""
                CREATE TABLE app.big (id bigint PRIMARY KEY, amount numeric NOT NULL);
                CREATE VIEW app.big_fact_def AS SELECT id, amount FROM app.big;
                SELECT count(*) FROM tally.keep('app.big_fact', 'app.big_fact_def');
                INSERT INTO app.big VALUES (9007199254740993, 1.50);
                SELECT count(*) FROM tally.refresh('app.big_fact');
                UPDATE app.big_fact SET amount = 1.5000000000000000001""");
        try {
            browser.open(base + "#/view/app.big_fact?cell=%7B%22id%22:9007199254740993%7D");
            browser.await("#why-verdict", "repair the view");
            browser.await("#why-forms tbody tr:nth-child(1)", "9007199254740993", "1.5000000000000000001");
            browser.await("#why-forms tbody tr:nth-child(3)", "9007199254740993", "1.50");
        } finally {
            browser.open(base + "#/now");
            sql.run("SELECT tally.drop('app.big_fact'); DROP VIEW app.big_fact_def; DROP TABLE app.big");
        }
    }

    /** Names are text, whatever is in them, and no page is wider than the telephone. */
    @Test
    void hostileNamesAreShownAsTheyAre() throws Exception {
        String[] names = {
            "\"<script>document.title='x'</script>\"",
            "\"'\"\"&amp;<img src=x onerror=alert(1)>\"",
            "\"two\nlines\"",
            "\"" + "w".repeat(38) + "\"",
            "\"عدد الطلبات اليومية\"",
            "\"訂單數量統計\"",
            "\"\u202egnp.exe\"",
            "\"50%/?#x\"",
            "\"__proto__\""
        };
        sql.run("CREATE SCHEMA \"<b>&\"");
        for (String name : names) {
            sql.run("CREATE VIEW \"<b>&\".%s AS SELECT id, n FROM app.item"
                    .formatted(name.substring(0, name.length() - 1) + "_d\""));
            sql.run("SELECT count(*) FROM tally.keep('\"<b>&\".%s', '\"<b>&\".%s')"
                    .formatted(
                            name.replace("'", "''"),
                            (name.substring(0, name.length() - 1) + "_d\"").replace("'", "''")));
        }
        sql.run("SELECT control.request_run(name, 'refresh') FROM tally.status WHERE name LIKE '%<b>%'");
        try {
            for (String page : new String[] {"now", "activity", "runs"}) {
                browser.open(base + "#/" + page);
                browser.await("#main", "<script>document.title='x'</script>", "⟨U+202E⟩gnp.exe");
                screenshots("names-" + page);
                assertNarrow();
                assertThat(browser.driver().findElements(By.cssSelector("#main b, #main script, #main img")))
                        .isEmpty();
                assertThat(browser.driver().getTitle()).isNotEqualTo("x");
            }
            browser.open(base + "#/now");
            for (String part :
                    new String[] {"script", "onerror", "lines", "wwww", "عدد", "訂單", "gnp", "50%", "__proto__"}) {
                browser.type("#q", part);
                browser.await("#views tbody tr:nth-child(1) th", part);
                browser.click("#views tbody tr:nth-child(1) a");
                browser.await("h1", part);
                browser.await("#state", "active");
                browser.await("#schedule-save", "Store");
                assertNarrow();
                assertThat(browser.inaccessible()).as(part).isEmpty();
                browser.driver().navigate().back();
            }
        } finally {
            browser.open(base + "#/now");
            sql.run(
                    "SELECT count(*) FROM (SELECT tally.drop(name) FROM tally.status WHERE name LIKE '%<b>%') d; DROP SCHEMA \"<b>&\" CASCADE");
        }
    }

    private static void assertNarrow() {
        browser.resize(390);
        Eventually.await(
                "the page is as wide as the window",
                () -> browser.driver()
                        .executeScript(
                                "return document.documentElement.scrollWidth - document.documentElement.clientWidth"),
                Long.valueOf(0)::equals);
        browser.resize(1440);
    }

    @Test
    void manyFindingsDoNotHideTheViews() throws Exception {
        for (int i = 0; i < 12; i++) {
            sql.run(
                    "CREATE VIEW app.many%1$d_def AS SELECT id, n FROM app.item; SELECT tally.create_projection('app.many%1$d', 'app.many%1$d_def', '{id}')"
                            .formatted(i));
        }
        try {
            browser.await(".findings details summary", " more");
            assertThat(browser.driver().findElements(By.cssSelector(".findings > ul > li")))
                    .hasSize(10);
            browser.click(".findings summary");
            browser.await(".findings details li", "is declared, but not active");
            screenshots("now-many");
        } finally {
            sql.run("SELECT count(*) FROM (SELECT tally.drop(name) FROM tally.status WHERE name LIKE 'app.many%') d");
            for (int i = 0; i < 12; i++) {
                sql.run("DROP VIEW app.many%d_def".formatted(i));
            }
        }
    }

    @Test
    void anAddressThatCannotBeDecodedIsAnswered() {
        for (String odd : new String[] {"#/view/%zz", "#/view/100%", "#/nothing/%", "#/view/"}) {
            browser.open(base + odd);
            browser.await("#main", odd.matches("#/view/.+") ? "is not a name" : "app.item_fact");
        }
        browser.open(base + "#/now");
        browser.await(ROW + "th", ItemView.NAME);
        assertThat(browser.errors()).allMatch(message -> message.contains("status of 404"));
    }

    @Test
    void whatIsAtWorkIsShown() throws Exception {
        browser.open(base + "#/activity");
        browser.await("#triggers", "maintenance", "waiting");
        browser.await("#instances tbody tr", "ago");
        browser.await("#deltas", "app.item_fact");
        browser.await("section[data-key=statements]", "pg_stat_statements is not installed");
        browser.await("#audit tbody tr", "COUNTERSINK_API_TOKEN (owner)", "POST /api/session", "200");
        screenshots("activity");
    }

    @Test
    void aViewShowsWhatItReadsAndWhatReadsIt() {
        browser.open(base + "#/view/app.item_fact");
        browser.await("#chain", "app.item → app.item_fact → app.by_share, app.item_sum");
        browser.open(base + "#/view/app.item_sum");
        browser.await("#chain", "app.item_fact → app.item_sum");
    }

    @Test
    void aMomentOnACurveShowsWhatWasRunningThen() throws Exception {
        sql.run("INSERT INTO app.item VALUES (41, 10)");
        refreshByClick();
        // A sample is taken every 15 s.
        browser.await("figure figcaption", "Lag");
        browser.click("figure .u-over");
        browser.await("#moment", "At ");
        assertThat(browser.driver().getCurrentUrl()).contains("at=20");
        screenshots("moment");
    }

    /** Tab, Enter and the arrows are all that is used. */
    @Test
    void everythingCanBeDoneByKeyboard() throws Exception {
        sql.run("INSERT INTO app.item VALUES (42, 10)");
        browser.reach("a[href='#/view/app.item_fact']");
        browser.press(Keys.ENTER);
        browser.await("h1", "app.item_fact");
        browser.await("#refresh-price", "merges 1 pending change now");
        browser.reach("#refresh");
        browser.press(Keys.ENTER);
        browser.await("#refresh-price", "merges 0 pending changes now");
        browser.reach("#pause");
        browser.press(Keys.ENTER);
        browser.await("dialog", "Pause app.item_fact?");
        browser.reach("dialog button.main");
        browser.press(Keys.ENTER);
        browser.await("#state", "paused");
        browser.reach("#resume");
        browser.press(Keys.SPACE);
        browser.await("#state", "active");
        browser.reach("#why-0");
        browser.press("42");
        browser.press(Keys.ENTER);
        browser.await("#why-verdict", "All three are equal");
        browser.reach("#why-base summary");
        browser.press(Keys.ENTER);
        browser.await("#why-base", "app.item", "42");
        browser.await("figure figcaption", "Lag");
        browser.reach("figure");
        browser.press(Keys.ARROW_LEFT);
        browser.press(Keys.ENTER);
        browser.await("#moment", "At ");
        browser.reach("nav a[href='#/activity']");
        browser.press(Keys.ENTER);
        browser.await("h1", "Activity");
        browser.reach("#sign-out");
        browser.press(Keys.ENTER);
        browser.await("h1", "Countersink");
        browser.press(TestInstance.token());
        browser.press(Keys.ENTER);
        browser.await("h1", "Activity");
    }

    @Test
    void aRunIsCancelled() throws Exception {
        try (Connection blocker = Database.connect(rig.database());
                Statement statement = blocker.createStatement()) {
            blocker.setAutoCommit(false);
            statement.execute("LOCK TABLE app.item IN ACCESS EXCLUSIVE MODE");
            browser.open(base + "#/view/app.item_fact");
            browser.click("#verify");
            browser.await("table[data-key=runs] tbody tr", "verify", "running");
            browser.click("table[data-key=runs] tbody tr button");
            browser.await("table[data-key=runs] tbody tr", "verify", "failed");
            blocker.rollback();
        }
        browser.open(base + "#/runs?state=failed");
        browser.await("table[data-key=runs] tbody tr", "verify", "failed");
        screenshots("runs");
    }

    private static void refreshByClick() {
        browser.open(base + "#/view/app.item_fact");
        browser.await("#refresh-price", "merges 1 pending change now");
        browser.click("#refresh");
        browser.await("#refresh-price", "merges 0 pending changes now");
    }

    /** As a desk and as a telephone show it, light and dark; and everybody can use it. */
    private static void screenshots(String name) throws IOException {
        for (String theme : new String[] {"light", "dark"}) {
            browser.theme(theme);
            for (int width : new int[] {1440, 390}) {
                browser.resize(width);
                browser.screenshot("%s-%s-%d".formatted(name, theme, width));
                assertThat(browser.inaccessible())
                        .as("%s, %s, %d", name, theme, width)
                        .isEmpty();
            }
        }
        browser.theme("");
        browser.resize(1440);
    }
}
