/** The admin API: controllers for views, runs, jobs, dead letters and results by HTTP, who may call them, and the audit log. */
@NullMarked
package dev.countersink.admin;

import org.jspecify.annotations.NullMarked;
