package dev.countersink.admin;

/**
 * Who sent a request.
 *
 * @param name of the token
 */
record Caller(String name, Role role) {}
