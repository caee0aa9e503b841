package dev.countersink.admin;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.countersink.testing.Eventually;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.function.Consumer;
import java.util.logging.Level;
import java.util.stream.Stream;
import org.openqa.selenium.By;
import org.openqa.selenium.Dimension;
import org.openqa.selenium.Keys;
import org.openqa.selenium.OutputType;
import org.openqa.selenium.StaleElementReferenceException;
import org.openqa.selenium.WebElement;
import org.openqa.selenium.chrome.ChromeDriver;
import org.openqa.selenium.chrome.ChromeDriverService;
import org.openqa.selenium.chrome.ChromeOptions;
import org.openqa.selenium.interactions.Actions;
import org.openqa.selenium.logging.LogType;
import org.openqa.selenium.logging.LoggingPreferences;
import org.springframework.core.io.Resource;
import org.springframework.core.io.support.PathMatchingResourcePatternResolver;

/** A real Chromium without a window. Tests that want one are skipped where it is not installed. */
final class Browser implements AutoCloseable {
    private static final Path SCREENSHOTS = Path.of("target", "screenshots");
    private static final Duration PATIENCE = Duration.ofSeconds(30);
    private static final int MOST_STOPS = 200;

    private final ChromeDriver driver;

    Browser() {
        Path chromium = found("chromium", "google-chrome", "chrome");
        Path chromedriver = found("chromedriver");
        assumeTrue(
                chromium != null && chromedriver != null,
                "Chromium is not installed (on Debian and Ubuntu: chromium, chromium-driver)");
        LoggingPreferences logs = new LoggingPreferences();
        logs.enable(LogType.BROWSER, Level.ALL);
        ChromeOptions options = new ChromeOptions();
        options.setBinary(chromium.toFile());
        options.addArguments(
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
                "--force-device-scale-factor=1");
        options.setCapability("goog:loggingPrefs", logs);
        driver = new ChromeDriver(
                new ChromeDriverService.Builder()
                        .usingDriverExecutable(chromedriver.toFile())
                        .usingAnyFreePort()
                        .build(),
                options);
        resize(1440);
    }

    private static Path found(String... names) {
        return Stream.of(names)
                .flatMap(name -> Stream.of(System.getenv("PATH").split(File.pathSeparator))
                        .map(folder -> Path.of(folder, name)))
                .filter(Files::isExecutable)
                .findFirst()
                .orElse(null);
    }

    ChromeDriver driver() {
        return driver;
    }

    void open(String url) {
        driver.get(url);
    }

    void resize(int width) {
        driver.manage().window().setSize(new Dimension(width, 1000));
    }

    /** Has the page drawn in a theme, whatever the system's. */
    void theme(String name) {
        driver.executeScript(
                "localStorage.setItem('theme', arguments[0]); document.documentElement.dataset.theme = arguments[0];",
                name);
    }

    /** Stores how the page looks, to be looked at. */
    void screenshot(String name) throws IOException {
        Files.createDirectories(SCREENSHOTS);
        Files.write(SCREENSHOTS.resolve(name + ".png"), driver.getScreenshotAs(OutputType.BYTES));
    }

    /** What axe finds wrong: the rule, and the elements. */
    List<String> inaccessible() throws IOException {
        Resource axe = new PathMatchingResourcePatternResolver()
                .getResources("classpath*:META-INF/resources/webjars/axe-core/*/axe.min.js")[0];
        driver.executeScript(axe.getContentAsString(StandardCharsets.UTF_8));
        Object found = driver.executeAsyncScript("""
                const done = arguments[arguments.length - 1];
                axe.run(document).then(result => done(result.violations.map(
                    violation => violation.id + ': ' + violation.nodes.map(node => node.html).join(' | '))));
                """);
        return ((List<?>) found).stream().map(String::valueOf).toList();
    }

    /** Waits until an element is there and its text is as expected; returns the text. */
    String await(String css, String... parts) {
        return Eventually.await(
                "%s has %s".formatted(css, List.of(parts)),
                PATIENCE,
                () -> text(css),
                text -> Stream.of(parts).allMatch(text::contains));
    }

    /** The text of the first element that matches, empty if there is none. */
    String text(String css) {
        try {
            List<WebElement> elements = driver.findElements(By.cssSelector(css));
            return elements.isEmpty() ? "" : elements.get(0).getText();
        } catch (StaleElementReferenceException e) {
            return "";
        }
    }

    /** What is typed in a field, empty if there is no such field. */
    String value(String css) {
        return (String) driver.executeScript("return document.querySelector(arguments[0])?.value ?? ''", css);
    }

    void click(String css) {
        act("a click on " + css, css, WebElement::click);
    }

    void type(String css, String text) {
        act(css + " is filled in", css, field -> {
            field.clear();
            field.sendKeys(text);
        });
    }

    /** Moves the focus to an element by the Tab key alone, as somebody without a mouse does. */
    void reach(String css) {
        for (int i = 0; i < MOST_STOPS; i++) {
            if (Boolean.TRUE.equals(driver.executeScript(
                    "return document.activeElement !== null && document.activeElement.matches(arguments[0])", css))) {
                return;
            }
            press(Keys.TAB);
        }
        throw new AssertionError("the Tab key does not lead to " + css);
    }

    /** Presses keys where the focus is. */
    void press(CharSequence keys) {
        new Actions(driver).sendKeys(keys).perform();
    }

    /** Does something to the first element that matches, as soon as there is one; the page may replace it meanwhile. */
    private void act(String what, String css, Consumer<WebElement> action) {
        Eventually.await(
                what,
                PATIENCE,
                () -> {
                    try {
                        List<WebElement> elements = driver.findElements(By.cssSelector(css));
                        elements.stream().limit(1).forEach(action);
                        return !elements.isEmpty();
                    } catch (StaleElementReferenceException e) {
                        return false;
                    }
                },
                done -> done);
    }

    /** What was logged as an error since it was last asked, refused requests that a test made on purpose left out. */
    List<String> errors() {
        return driver.manage().logs().get(LogType.BROWSER).getAll().stream()
                .filter(entry -> entry.getLevel().intValue() >= Level.SEVERE.intValue())
                .map(entry -> entry.getMessage())
                .filter(message -> !message.matches(".*Failed to load resource: .* status of (400|401|412|503) .*"))
                .toList();
    }

    @Override
    public void close() {
        driver.quit();
    }
}
