package dev.countersink.conformance;

import java.math.BigDecimal;
import java.sql.Array;
import java.sql.SQLException;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import tools.jackson.databind.JsonNode;

/** Writes values of JSON and of the database in one form, so that numbers compare by value, whatever their type. */
final class Values {
    private Values() {}

    static String ofJson(JsonNode value) {
        if (value.isArray()) {
            return value.valueStream().map(Values::ofJson).collect(Collectors.joining(", ", "[", "]"));
        }
        if (value.isNumber()) {
            return number(value.asString());
        }
        return value.isString() ? '"' + value.asString() + '"' : value.toString();
    }

    static String ofDatabase(Object value) {
        if (value instanceof Number) {
            return number(value.toString());
        }
        if (value instanceof List<?> list) {
            return list.stream().map(Values::ofDatabase).collect(Collectors.joining(", ", "[", "]"));
        }
        if (value instanceof Array array) {
            return ofDatabase(elements(array));
        }
        if (value instanceof Boolean || value == null) {
            return String.valueOf(value);
        }
        return '"' + value.toString() + '"';
    }

    private static List<Object> elements(Array array) {
        try {
            return Arrays.asList((Object[]) array.getArray());
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        }
    }

    private static String number(String text) {
        BigDecimal value = new BigDecimal(text);
        return value.signum() == 0 ? "0" : value.stripTrailingZeros().toPlainString();
    }
}
