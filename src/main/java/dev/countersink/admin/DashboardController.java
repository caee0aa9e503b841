package dev.countersink.admin;

import dev.countersink.digest.Sha256;
import java.io.IOException;
import java.io.InputStream;
import java.util.HashMap;
import java.util.Map;
import org.springframework.core.io.Resource;
import org.springframework.core.io.support.PathMatchingResourcePatternResolver;
import org.springframework.http.CacheControl;
import org.springframework.http.HttpHeaders;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RestController;

/** The files of the dashboard. They have no data in them, so they are given to anybody: one has to sign in over them. */
@RestController
class DashboardController {
    private static final String PAGE = "index.html";
    private static final Map<String, MediaType> TYPES = Map.of(
            "html",
            MediaType.parseMediaType("text/html;charset=UTF-8"),
            "css",
            MediaType.parseMediaType("text/css;charset=UTF-8"),
            "js",
            MediaType.parseMediaType("text/javascript;charset=UTF-8"),
            "svg",
            MediaType.parseMediaType("image/svg+xml"));

    private final Map<String, Asset> assets = new HashMap<>();

    DashboardController() throws IOException {
        PathMatchingResourcePatternResolver resources = new PathMatchingResourcePatternResolver();
        for (String pattern : new String[] {
            "classpath*:dashboard/*",
            "classpath*:META-INF/resources/webjars/uplot/*/dist/uPlot.iife.min.js",
            "classpath*:META-INF/resources/webjars/uplot/*/dist/uPlot.min.css"
        }) {
            for (Resource resource : resources.getResources(pattern)) {
                add(resource);
            }
        }
        if (!assets.containsKey(PAGE)) {
            throw new IllegalStateException("The program has no dashboard in it.");
        }
    }

    private record Asset(byte[] bytes, MediaType type, String etag) {}

    private void add(Resource resource) throws IOException {
        String name = String.valueOf(resource.getFilename());
        MediaType type = TYPES.get(name.substring(name.lastIndexOf('.') + 1));
        if (type != null) {
            try (InputStream stream = resource.getInputStream()) {
                byte[] bytes = stream.readAllBytes();
                assets.put(name, new Asset(bytes, type, '"' + digest(bytes) + '"'));
            }
        }
    }

    @GetMapping("/")
    ResponseEntity<byte[]> page() {
        return asset(PAGE);
    }

    @GetMapping("/ui/{name}")
    ResponseEntity<byte[]> asset(@PathVariable String name) {
        Asset asset = assets.get(name);
        if (asset == null) {
            throw new NotFoundException(Problems.NO_DATA, "The dashboard has no such file.", "It begins at /.");
        }
        return ResponseEntity.ok()
                .contentType(asset.type())
                .cacheControl(CacheControl.noCache())
                // Else Spring adds a file name, for it cannot know that the type is ours and no path's.
                .header(HttpHeaders.CONTENT_DISPOSITION, "inline")
                .eTag(asset.etag())
                .body(asset.bytes());
    }

    private static String digest(byte[] bytes) {
        return Sha256.hex(bytes).substring(0, 32);
    }
}
