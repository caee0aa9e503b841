package dev.countersink;

public final class Countersink {
    private Countersink() {}

    public static void main(String[] args) {
        System.out.println("x");
    }
}
