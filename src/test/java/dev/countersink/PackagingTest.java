package dev.countersink;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** What the build puts into the jar besides the program. */
class PackagingTest {
    private static final Path META = Path.of("target", "classes", "META-INF");

    @Test
    void everythingInTheBillOfMaterialsHasALicence() throws Exception {
        Path file = META.resolve("sbom").resolve("application.cdx.json");
        assumeTrue(Files.exists(file), "Maven makes no bill of materials while it is offline");
        JsonNode bill = JsonMapper.shared().readTree(Files.readString(file));
        List<String> parts = StreamSupport.stream(bill.get("components").spliterator(), false)
                .map(part -> "(" + part.get("group").asString() + ":"
                        + part.get("name").asString() + ":"
                        + part.get("version").asString() + " - ")
                .toList();
        String licences = Files.readString(META.resolve("THIRD-PARTY.txt"));
        assertThat(parts)
                .hasSizeGreaterThan(50)
                .allSatisfy(part -> assertThat(licences).contains(part));
        assertThat(licences).doesNotContain("Unknown license");
    }
}
