package dev.countersink.admin;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/** The role that a request needs. Without it, what reads needs {@link Role#READER} and everything else {@link Role#OWNER}. */
@Documented
@Target(ElementType.METHOD)
@Retention(RetentionPolicy.RUNTIME)
@interface Needs {
    Role value();

    /** Whether the audit log has a row for it before it is done, or it is not done; otherwise it is noted once it is over. */
    boolean auditedFirst() default true;
}
