package dev.countersink.ingest.message;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SubjectsTest {
    @Test
    void aJobIsANumberAsItIsWritten() {
        assertThat(Subjects.jobId("results.17")).isEqualTo(17);
        assertThat(Subjects.consumerName("results.17")).isEqualTo("job-17");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "results.abc",
                "results.1.2",
                "results.007",
                "results.+7",
                "results.",
                "results.99999999999999999999"
            })
    void anythingElseIsNoJobButHasASafeConsumerOfItsOwn(String subject) {
        assertThat(Subjects.jobId(subject)).isNull();
        assertThat(Subjects.consumerName(subject)).matches("subject-[0-9a-f]{32}");
        assertThat(Subjects.consumerName(subject)).isNotEqualTo(Subjects.consumerName(subject + "x"));
    }

    @Test
    void whatCannotBePublishedToIsTold() {
        assertThat(Subjects.isPublishable("results.*")).isFalse();
        assertThat(Subjects.isPublishable("results.>")).isFalse();
        assertThat(Subjects.isPublishable("a..b")).isFalse();
        assertThat(Subjects.isPublishable("a b")).isFalse();
        assertThat(Subjects.isPublishable("a*b.c")).isTrue();
        assertThat(Subjects.isPublishable("$JS.ACK.x.y")).isTrue();
    }
}
