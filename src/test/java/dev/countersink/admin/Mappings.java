package dev.countersink.admin;

import java.util.Set;
import java.util.TreeSet;
import org.springframework.context.ApplicationContext;
import org.springframework.web.bind.annotation.RequestMethod;
import org.springframework.web.servlet.mvc.method.RequestMappingInfoHandlerMapping;

/** Every endpoint of an instance: a method and the pattern of a path. */
public final class Mappings {
    private Mappings() {}

    public static Set<String> of(ApplicationContext context) {
        Set<String> all = new TreeSet<>();
        context.getBeansOfType(RequestMappingInfoHandlerMapping.class)
                .values()
                .forEach(mapping -> mapping.getHandlerMethods()
                        .keySet()
                        .forEach(info -> info.getPatternValues()
                                .forEach(path -> (info.getMethodsCondition()
                                                        .getMethods()
                                                        .isEmpty()
                                                ? Set.of(RequestMethod.GET)
                                                : info.getMethodsCondition().getMethods())
                                        .forEach(method -> all.add(method + " " + path)))));
        return all;
    }

    /** A path of which there is nothing, so that nothing is changed by it. */
    public static String example(String pattern) {
        return pattern.replace("{name}", "app.gone")
                .replace("{id}", "999999")
                .replace("{pid}", "1")
                .replaceAll("\\{action:(\\w+)[^}]*}", "$1")
                .replace("/**", "/liveness");
    }
}
