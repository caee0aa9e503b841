package dev.countersink.bench.engine;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * A picture of figures, as SVG: bars side by side for a few categories, or lines. Its colours can be told apart on a light
 * and on a dark ground.
 *
 * @param file its name, without a folder
 */
record Plot(String file, String svg) {
    private static final int WIDTH = 720;
    private static final int HEIGHT = 380;
    private static final int LEFT = 76;
    private static final int RIGHT = 20;
    private static final int TOP = 74;
    private static final int BOTTOM = 56;
    private static final int TICKS = 5;
    private static final String[] COLOURS = {"#3d85c6", "#d9822b", "#5aa469", "#a065b5"};

    /** Values of one colour: for lines, x and y in two arrays of the same length; for bars, only y. */
    record Series(String name, double[] x, double[] y) {
        static Series bars(String name, double... y) {
            return new Series(name, new double[0], y);
        }
    }

    /** Groups of bars, one group per category. The value stands above each bar. */
    static Plot bars(String name, String title, String unit, List<String> categories, Series... series) {
        double top = niceTop(series);
        StringBuilder body = new StringBuilder();
        double group = (double) (WIDTH - LEFT - RIGHT) / categories.size();
        double bar = group * 0.7 / series.length;
        for (int c = 0; c < categories.size(); c++) {
            double middle = LEFT + group * (c + 0.5);
            text(body, middle, HEIGHT - BOTTOM + 20, "middle", "", categories.get(c));
            for (int s = 0; s < series.length; s++) {
                double value = series[s].y[c];
                if (Double.isNaN(value)) {
                    continue;
                }
                double x = middle + bar * (s - series.length / 2.0);
                body.append(String.format(
                        Locale.ROOT,
                        "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"/>%n",
                        x + 2,
                        y(value, top),
                        bar - 4,
                        y(0, top) - y(value, top),
                        COLOURS[s]));
                text(body, x + bar / 2, y(value, top) - 5, "middle", "", Figure.number(value));
            }
        }
        return new Plot(name + ".svg", frame(title, unit, "", top, body, series));
    }

    /** Lines over a numeric axis that begins at 0. */
    static Plot lines(String name, String title, String unit, String xUnit, Series... series) {
        double top = niceTop(series);
        double end = 0;
        for (Series one : series) {
            for (double x : one.x) {
                end = Math.max(end, x);
            }
        }
        double right = nice(end);
        StringBuilder body = new StringBuilder();
        for (int i = 0; i <= TICKS; i++) {
            text(body, x(right * i / TICKS, right), HEIGHT - BOTTOM + 20, "middle", "", tick(right * i / TICKS));
        }
        for (int s = 0; s < series.length; s++) {
            List<String> points = new ArrayList<>();
            for (int i = 0; i < series[s].x.length; i++) {
                String point =
                        String.format(Locale.ROOT, "%.1f,%.1f", x(series[s].x[i], right), y(series[s].y[i], top));
                points.add(point);
                body.append(String.format(
                        Locale.ROOT,
                        "<circle cx=\"%s\" cy=\"%s\" r=\"3\" fill=\"%s\"/>%n",
                        point.split(",")[0],
                        point.split(",")[1],
                        COLOURS[s]));
            }
            body.append(String.format(
                    Locale.ROOT,
                    "<polyline points=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\"/>%n",
                    String.join(" ", points),
                    COLOURS[s]));
        }
        return new Plot(name + ".svg", frame(title, unit, xUnit, top, body, series));
    }

    private static String frame(
            String title, String unit, String xUnit, double top, StringBuilder body, Series... series) {
        StringBuilder svg = new StringBuilder(String.format(Locale.ROOT, """
                <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" font-family="sans-serif" font-size="13">
                <title>%s</title>
                <style>
                text { fill: #24292f } .axis { stroke: #6e7781 } .grid { stroke: #6e7781; stroke-opacity: .25 }
                @media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .axis { stroke: #9198a1 } .grid { stroke: #9198a1 } }
                </style>
                """, WIDTH, HEIGHT, escaped(title)));
        text(svg, LEFT, 24, "start", " font-size=\"16\" font-weight=\"bold\"", title);
        text(svg, LEFT, 62, "start", "", unit);
        text(svg, WIDTH - RIGHT, HEIGHT - 14, "end", "", xUnit);
        for (int i = 0; i <= TICKS; i++) {
            double value = top * i / TICKS;
            svg.append(String.format(
                    Locale.ROOT,
                    "<line class=\"%s\" x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%3$.1f\"/>%n",
                    i == 0 ? "axis" : "grid",
                    LEFT,
                    y(value, top),
                    WIDTH - RIGHT));
            text(svg, LEFT - 8, y(value, top) + 4, "end", "", tick(value));
        }
        double right = WIDTH - RIGHT;
        for (int s = series.length - 1; s >= 0 && series.length > 1; s--) {
            right -= 8 + 7.2 * series[s].name.length();
            text(svg, right, 44, "start", "", series[s].name);
            svg.append(String.format(
                    Locale.ROOT,
                    "<rect x=\"%.1f\" y=\"34\" width=\"11\" height=\"11\" fill=\"%s\"/>%n",
                    right - 16,
                    COLOURS[s]));
            right -= 26;
        }
        return svg.append(body).append("</svg>\n").toString();
    }

    private static void text(StringBuilder to, double x, double y, String anchor, String style, String text) {
        to.append(String.format(
                Locale.ROOT,
                "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\"%s>%s</text>%n",
                x,
                y,
                anchor,
                style,
                escaped(text)));
    }

    private static double x(double value, double right) {
        return LEFT + (WIDTH - LEFT - RIGHT) * value / right;
    }

    private static double y(double value, double top) {
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value / top;
    }

    private static double niceTop(Series... series) {
        double top = 0;
        for (Series one : series) {
            for (double value : one.y) {
                top = Double.isNaN(value) ? top : Math.max(top, value);
            }
        }
        return nice(top * 1.08);
    }

    /** The smallest round number that is not less and gives five round steps. */
    private static double nice(double value) {
        if (value <= 0) {
            return 1;
        }
        double power = Math.pow(10, Math.floor(Math.log10(value)));
        for (double step : new double[] {1, 1.5, 2, 2.5, 3, 4, 5, 6, 8}) {
            if (value <= step * power) {
                return step * power;
            }
        }
        return 10 * power;
    }

    private static String tick(double value) {
        String digits = String.format(Locale.ROOT, "%,.3f", value);
        return digits.replaceFirst("\\.?0+$", "");
    }

    private static String escaped(String text) {
        return text.replace("&", "&amp;").replace("<", "&lt;");
    }
}
