package dev.countersink;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.lang.ArchRule;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

/** Which package may depend on which. A rule that matches no class fails, so that each is known to test something. */
class ArchitectureTest {
    private static final String INGEST = "dev.countersink.ingest";
    private static final DescribedPredicate<JavaClass> JDBC = resideInAnyPackage(
            "java.sql..", "javax.sql..", "org.postgresql..", "com.zaxxer..", "org.springframework.jdbc..");
    private static final DescribedPredicate<JavaClass> NATS = resideInAPackage("io.nats..");

    private static final JavaClasses PRODUCT = new ClassFileImporter()
            .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
            .importPath(Path.of("target", "classes"));

    @Test
    void whatSpeaksWithNatsKnowsNoDatabase() {
        assertThat(uses(INGEST + ".nats", NATS)).isTrue();
        holds(noClasses().that().resideInAPackage(INGEST + ".nats").should().dependOnClassesThat(JDBC));
    }

    @Test
    void whatSpeaksWithTheDatabaseKnowsNoNats() {
        assertThat(uses(INGEST + ".db", JDBC)).isTrue();
        holds(noClasses().that().resideInAPackage(INGEST + ".db").should().dependOnClassesThat(NATS));
    }

    @Test
    void whatReadsMessagesKnowsNeither() {
        holds(noClasses()
                .that()
                .resideInAPackage(INGEST + ".message")
                .should()
                .dependOnClassesThat(JDBC.or(NATS).or(resideInAnyPackage(INGEST + ".db", INGEST + ".nats"))));
    }

    @Test
    void settingsKnowNothingAboveThem() {
        holds(noClasses()
                .that()
                .resideInAPackage("dev.countersink.config")
                .should()
                .dependOnClassesThat(resideInAPackage("dev.countersink..")
                        .and(DescribedPredicate.not(resideInAPackage("dev.countersink.config")))));
    }

    @Test
    void theProductKnowsNoBenchAndNoTest() {
        holds(noClasses()
                .should()
                .dependOnClassesThat(
                        resideInAnyPackage("dev.countersink.bench..", "dev.countersink.testing..", "org.junit..")));
        assertThat(PRODUCT.containPackage("dev.countersink.bench")).isFalse();
        assertThat(Files.exists(Path.of("src/main/resources/bench"))).isFalse();
    }

    @Test
    void onlyTheCommandLineKnowsPicocli() {
        holds(noClasses()
                .that()
                .resideOutsideOfPackages(
                        "dev.countersink.cli",
                        "dev.countersink.client",
                        "dev.countersink.demo",
                        "dev.countersink.explain")
                .should()
                .dependOnClassesThat(resideInAPackage("picocli..")));
    }

    @Test
    void noPackagesNeedEachOther() {
        holds(slices().matching("dev.countersink.(**)").should().beFreeOfCycles());
        // Slices do not include the top package.
        holds(noClasses()
                .that()
                .resideOutsideOfPackages("dev.countersink", "dev.countersink.cli", "dev.countersink.demo")
                .should()
                .dependOnClassesThat(resideInAPackage("dev.countersink")));
        holds(noClasses()
                .that()
                .resideInAPackage("dev.countersink")
                .should()
                .dependOnClassesThat(resideInAnyPackage("dev.countersink.cli", "dev.countersink.demo")));
    }

    private static void holds(ArchRule rule) {
        rule.allowEmptyShould(false).check(PRODUCT);
    }

    private static boolean uses(String name, DescribedPredicate<JavaClass> what) {
        return PRODUCT.getPackage(name).getClasses().stream()
                .flatMap(each -> each.getDirectDependenciesFromSelf().stream())
                .anyMatch(dependency -> what.test(dependency.getTargetClass()));
    }
}
