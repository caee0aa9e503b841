/** The admin API: controllers for views, runs, jobs, dead letters and results by HTTP, and the token that they need. */
@NullMarked
package dev.countersink.admin;

import org.jspecify.annotations.NullMarked;
