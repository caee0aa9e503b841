package dev.countersink.config;

import java.lang.reflect.RecordComponent;
import java.time.Duration;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Pattern;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.core.env.ConfigurableEnvironment;
import org.springframework.core.env.EnumerablePropertySource;
import org.springframework.core.env.StandardEnvironment;

/** The names of all settings. What is misspelt in the environment is refused, because it would be ignored. */
public final class SettingNames {
    private static final String PREFIX = "COUNTERSINK_";
    private static final String SYSTEM_ENVIRONMENT = StandardEnvironment.SYSTEM_ENVIRONMENT_PROPERTY_SOURCE_NAME;

    private static final List<Class<? extends Record>> SETTINGS = List.of(
            ApiSettings.class,
            DbSettings.class,
            EmbeddedSettings.class,
            HttpSettings.class,
            IngestSettings.class,
            IntakeSettings.class,
            LogSettings.class,
            MaintenanceSettings.class,
            MessageSettings.class,
            NatsSettings.class,
            RefreshSettings.class,
            WatchdogSettings.class,
            WebhookSettings.class);
    /** Read by the script. */
    private static final List<String> OTHERS = List.of("COUNTERSINK_JAVA_OPTS");
    /** What Kubernetes sets in each pod for a service whose name begins with ours. */
    private static final Pattern OF_A_SERVICE =
            Pattern.compile("COUNTERSINK_(.*_)?(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT_\\d+_(TCP|UDP|SCTP)(_.*)?)");

    private static final Pattern WITHOUT_UNIT = Pattern.compile("\\s*[+-]?0*[1-9]\\d*\\s*");

    private SettingNames() {}

    /** The name by which the user knows a setting: as a variable, unless it was set as a system property. */
    public static String shown(String key) {
        return System.getProperty(key) != null ? key : variable(key);
    }

    /**
     * Refuses variables that are no settings, and times without a unit.
     *
     * @throws StartupException with the name of the nearest setting
     */
    public static void check(ConfigurableEnvironment environment) {
        Map<String, Class<?>> settings = all();
        variables(environment).forEach((name, value) -> checkName(name, value, settings));
        settings.forEach((key, type) -> {
            String value = type == Duration.class ? environment.getProperty(key) : null;
            if (value != null && WITHOUT_UNIT.matcher(value).matches()) {
                throw new StartupException(
                        String.format(Locale.ROOT, "%s is %s, which has no unit.", shown(key), value.strip()),
                        String.format(
                                Locale.ROOT,
                                "Write it as in %1$sms, %1$ss or %1$sm.",
                                value.strip().replace("+", "")));
            }
        });
    }

    private static Map<String, String> variables(ConfigurableEnvironment environment) {
        Map<String, String> variables = new TreeMap<>();
        if (environment.getPropertySources().get(SYSTEM_ENVIRONMENT) instanceof EnumerablePropertySource<?> source) {
            for (String name : source.getPropertyNames()) {
                variables.put(name, String.valueOf(source.getProperty(name)));
            }
        }
        return variables;
    }

    private static void checkName(String name, String value, Map<String, Class<?>> settings) {
        if (!name.startsWith(PREFIX)
                || OTHERS.contains(name)
                || OF_A_SERVICE.matcher(name).matches()
                || name.endsWith("_PORT") && value.contains("://")) {
            return;
        }
        boolean known = settings.entrySet().stream()
                .anyMatch(setting -> isNameOf(setting.getKey(), name)
                        || isElement(name, variable(setting.getKey()), setting.getValue()));
        if (!known) {
            String nearest = settings.keySet().stream()
                    .map(SettingNames::variable)
                    .min(Comparator.comparingInt(other -> distance(name, other)))
                    .orElseThrow();
            throw new StartupException(
                    String.format(Locale.ROOT, "There is no setting %s.", name),
                    String.format(Locale.ROOT, "The nearest name is %s; docs/settings.md has them all.", nearest));
        }
    }

    /** A variable may be written with or without the dashes of its property. */
    private static boolean isNameOf(String key, String name) {
        return variable(key).equals(name)
                || key.replace("-", "").equals(name.toLowerCase(Locale.ROOT).replace('_', '.'));
    }

    /** An element of a list may be set by its index. */
    private static boolean isElement(String name, String list, Class<?> type) {
        return type == List.class
                && name.startsWith(list + "_")
                && name.substring(list.length() + 1).matches("\\d+_?");
    }

    /** Each key with the type of its value. */
    private static Map<String, Class<?>> all() {
        Map<String, Class<?>> all = new TreeMap<>();
        for (Class<? extends Record> settings : SETTINGS) {
            String prefix =
                    settings.getAnnotation(ConfigurationProperties.class).value();
            for (RecordComponent component : settings.getRecordComponents()) {
                all.put(prefix + "." + dashed(component.getName()), component.getType());
            }
        }
        return all;
    }

    private static String dashed(String name) {
        return name.replaceAll("([A-Z])", "-$1").toLowerCase(Locale.ROOT);
    }

    private static String variable(String key) {
        return key.toUpperCase(Locale.ROOT).replace('.', '_').replace('-', '_');
    }

    /** How many characters have to be inserted, deleted or replaced. */
    private static int distance(String a, String b) {
        int[] row = new int[b.length() + 1];
        Arrays.setAll(row, i -> i);
        for (int i = 1; i <= a.length(); i++) {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= b.length(); j++) {
                int replaced = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.min(replaced, Math.min(row[j], row[j - 1]) + 1);
            }
        }
        return row[b.length()];
    }
}
