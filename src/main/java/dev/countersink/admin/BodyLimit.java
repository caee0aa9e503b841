package dev.countersink.admin;

import dev.countersink.config.ApiSettings;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.reflect.Type;
import org.springframework.core.MethodParameter;
import org.springframework.http.HttpHeaders;
import org.springframework.http.HttpInputMessage;
import org.springframework.http.converter.HttpMessageConverter;
import org.springframework.web.bind.annotation.RestControllerAdvice;
import org.springframework.web.servlet.mvc.method.annotation.RequestBodyAdviceAdapter;

/** Bounds a body that is read as a whole, or one request could fill the memory. Results are read while they arrive, and have a bound of their own. */
@RestControllerAdvice
class BodyLimit extends RequestBodyAdviceAdapter {
    private final int most;

    BodyLimit(ApiSettings settings) {
        this.most = (int) settings.maxBody().toBytes();
    }

    @Override
    public boolean supports(MethodParameter parameter, Type type, Class<? extends HttpMessageConverter<?>> converter) {
        return true;
    }

    @Override
    public HttpInputMessage beforeBodyRead(
            HttpInputMessage message,
            MethodParameter parameter,
            Type type,
            Class<? extends HttpMessageConverter<?>> converter)
            throws IOException {
        if (message.getHeaders().getContentLength() > most) {
            throw RefusedException.tooLarge(most);
        }
        return new Bounded(message.getHeaders(), new BoundedStream(message.getBody(), most));
    }

    private record Bounded(HttpHeaders headers, InputStream body) implements HttpInputMessage {
        @Override
        public InputStream getBody() {
            return body;
        }

        @Override
        public HttpHeaders getHeaders() {
            return headers;
        }
    }

    /** One whose sender has not said how long it is. */
    private static final class BoundedStream extends FilterInputStream {
        private final int most;
        private int left;

        BoundedStream(InputStream body, int most) {
            super(body);
            this.most = most;
            this.left = most;
        }

        @Override
        public int read() throws IOException {
            int read = super.read();
            count(read < 0 ? 0 : 1);
            return read;
        }

        @Override
        public int read(byte[] bytes, int from, int length) throws IOException {
            int read = super.read(bytes, from, length);
            count(Math.max(0, read));
            return read;
        }

        private void count(int read) {
            left -= read;
            if (left < 0) {
                throw RefusedException.tooLarge(most);
            }
        }

        @Override
        public boolean markSupported() {
            return false;
        }
    }
}
