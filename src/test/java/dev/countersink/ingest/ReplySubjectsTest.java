package dev.countersink.ingest;

import static org.assertj.core.api.Assertions.assertThat;

import io.nats.client.Message;
import io.nats.client.Subscription;
import io.nats.client.api.StorageType;
import io.nats.client.api.StreamConfiguration;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** A sender of messages cannot make the service publish anything else, or anywhere else. */
class ReplySubjectsTest {
    @AutoClose
    private final Rig rig = Rig.seeded(100);

    @Test
    void aMessageCannotMakeTheServicePublishWhereItWants() throws Exception {
        rig.management()
                .addStream(StreamConfiguration.builder()
                        .name("OTHER")
                        .subjects("other.>")
                        .storageType(StorageType.Memory)
                        .build());
        Subscription replies = rig.connection().subscribe("_INBOX.worker.>");
        List<String> harmful = List.of(
                "$JS.API.STREAM.DELETE.OTHER",
                "$JS.API.CONSUMER.DELETE.RESULTS.job-2",
                "$JS.ACK.RESULTS.job-2.1.3.3.1700000000000000000.0",
                "$JS.ACK._.hash.RESULTS.job-2.1.3.3.1700000000000000000.0.random",
                "$SYS.REQ.SERVER.PING",
                "results.2",
                "other.1");
        rig.ingest();
        for (int i = 0; i < harmful.size(); i++) {
            rig.publish("results.1", Messages.envelope(harmful.get(i), Messages.result(i + 1)));
        }
        rig.publish("results.1", Messages.envelope("_INBOX.worker.1", Messages.result(99)));
        Message reply = replies.nextMessage(Duration.ofSeconds(30));
        assertThat(new String(reply.getData(), StandardCharsets.UTF_8)).isEqualTo("+ACK");
        rig.awaitFinished();
        // All of them are applied nevertheless.
        assertThat(rig.number("SELECT count(*) FROM results.job_capture")).isEqualTo(harmful.size() + 1);
        assertThat(rig.management().getStreamNames()).contains("OTHER");
        assertThat(rig.management().getStreamInfo("OTHER").getStreamState().getMsgCount())
                .isZero();
        assertThat(rig.number("SELECT count(*) FROM results.dead_letter")).isZero();
    }
}
