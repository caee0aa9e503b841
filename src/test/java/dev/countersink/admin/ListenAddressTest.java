package dev.countersink.admin;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.config.StartupException;
import java.net.BindException;
import org.junit.jupiter.api.Test;

/** Tests run as root, who may use every port; so the system's answer is given here, not provoked. */
class ListenAddressTest {
    @Test
    void aPortWithoutTheRightToItIsNotCalledTaken() {
        StartupException refused = ListenAddress.refused(80, new BindException("Permission denied"));
        assertThat(refused).hasMessage("Port 80 cannot be opened: this user may not use ports below 1024.");
        assertThat(refused.hint()).contains("COUNTERSINK_HTTP_PORT", "CAP_NET_BIND_SERVICE");
    }

    @Test
    void aPortInUseIs() {
        assertThat(ListenAddress.refused(8080, new BindException("Address already in use")))
                .hasMessage("Port 8080 is in use by another program.");
    }
}
