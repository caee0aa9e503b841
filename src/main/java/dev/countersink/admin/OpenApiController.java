package dev.countersink.admin;

import java.io.IOException;
import java.io.InputStream;
import org.springframework.core.io.ClassPathResource;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/** The description of the API. It is the same for all, so it is given to anybody. */
@RestController
class OpenApiController {
    private final byte[] description;

    OpenApiController() throws IOException {
        try (InputStream stream = new ClassPathResource("openapi.json").getInputStream()) {
            description = stream.readAllBytes();
        }
    }

    @GetMapping("/api/openapi.json")
    ResponseEntity<byte[]> openApi() {
        return ResponseEntity.ok().contentType(MediaType.APPLICATION_JSON).body(description);
    }
}
