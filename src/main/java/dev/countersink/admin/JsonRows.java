package dev.countersink.admin;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.springframework.stereotype.Component;
import org.springframework.web.util.UriUtils;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** Rows that the database returns as JSON objects, reduced to the fields that a request asks for. */
@Component
class JsonRows {
    private final JsonMapper json;

    JsonRows(JsonMapper json) {
        this.json = json;
    }

    /**
     * A page of a list.
     *
     * @param items the rows
     * @param next path of the next page, null if there is none
     */
    record Page(List<ObjectNode> items, @Nullable String next) {}

    ObjectNode object(String row) {
        return (ObjectNode) json.readTree(row);
    }

    /** @param fields names separated by commas, null for all */
    List<ObjectNode> objects(List<String> rows, @Nullable String fields) {
        List<ObjectNode> objects = rows.stream().map(this::object).toList();
        if (fields != null && !objects.isEmpty()) {
            List<String> wanted =
                    Arrays.stream(fields.split(",")).map(String::strip).toList();
            for (String field : wanted) {
                requireField(objects.get(0), field);
            }
            objects.forEach(o -> o.retain(wanted));
        }
        return objects;
    }

    /**
     * A page, with the path of the next one if this one is full.
     *
     * @param path the path of the list
     * @param key the field by which the list is ordered; its last value is where the next page starts
     */
    Page page(List<String> rows, int limit, @Nullable String fields, String path, String key) {
        return page(rows, limit, fields, path, key, Map.of());
    }

    /** @param filter parameters by which the rows were chosen; those of the next page are chosen by the same */
    Page page(
            List<String> rows,
            int limit,
            @Nullable String fields,
            String path,
            String key,
            Map<String, @Nullable String> filter) {
        @Nullable String next = null;
        if (rows.size() == limit) {
            String last = object(rows.get(limit - 1)).path(key).asString();
            StringBuilder link = new StringBuilder(String.format(
                    Locale.ROOT,
                    "%s?after=%s&limit=%d",
                    ForwardedPrefix.path(path),
                    UriUtils.encode(last, StandardCharsets.UTF_8),
                    limit));
            filter.forEach((name, value) -> append(link, name, value));
            append(link, "fields", fields);
            next = link.toString();
        }
        return new Page(objects(rows, fields), next);
    }

    /**
     * A part of a list that is there as a whole.
     *
     * @param after how many rows come before it
     */
    Page slice(List<String> all, int after, int limit, String path) {
        return cut(all.stream().map(this::object).toList(), after, limit, path);
    }

    Page cut(List<ObjectNode> all, int after, int limit, String path) {
        int end = end(after, limit);
        return new Page(
                all.subList(Math.min(after, all.size()), Math.min(end, all.size())),
                all.size() < end
                        ? null
                        : ForwardedPrefix.path(String.format(Locale.ROOT, "%s?after=%d&limit=%d", path, end, limit)));
    }

    /** How many rows of a list are needed for a part of it. */
    static int end(int after, int limit) {
        if (after < 0 || after > Integer.MAX_VALUE - Limit.CEILING) {
            throw new BadRequestException(
                    String.format(Locale.ROOT, "after is %d, but it is a number of rows.", after),
                    "Leave it out for the first page.");
        }
        return after + Limit.check(limit);
    }

    private static void append(StringBuilder link, String name, @Nullable String value) {
        if (value != null) {
            link.append('&').append(name).append('=').append(UriUtils.encode(value, StandardCharsets.UTF_8));
        }
    }

    private static void requireField(ObjectNode row, String field) {
        if (!row.has(field)) {
            throw new BadRequestException(
                    String.format(Locale.ROOT, "There is no field '%s'.", field),
                    String.format(Locale.ROOT, "Fields are %s.", String.join(", ", row.propertyNames())));
        }
    }
}
