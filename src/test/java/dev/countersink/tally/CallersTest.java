package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/**
 * Every public function, called by roles with too few rights, about what does not exist, is closed to them, or is NULL: what is
 * refused is refused by the engine, in a sentence with a hint.
 */
class CallersTest {
    /** Values to try for each parameter, by its name and type. The first one is right. */
    private static final String ARGUMENTS = """
            name,projection,view | text | 'own.p' | 'own.r' | 'own.m' | 'own.d' | 'open.p' | 'open.r' | 'open.m' | 'open.d' | 'shut.p' | 'shut.m' | 'open.nothing' | 'nowhere.p' | 'a.b.c' | '"' | '' | 'p' | 'open.t' | NULL
            new name | text | 'mine.x' | 'open.x' | 'shut.x' | 'nowhere.x' | 'x' | '"' | 'open.p' | NULL
            definition,target,source,relation | text | 'own.t_def' | 'own.g_def' | 'own.t' | 'own.other' | 'own.m' | 'open.t_def' | 'open.g_def' | 'open.t' | 'open.other' | 'open.m' | 'shut.t_def' | 'shut.t' | 'shut.m' | 'nowhere.v' | 'open.nothing' | '"' | 'a.b.c' | '0' | NULL
            key,identity,columns | text[] | '{id}' | '{nothing}' | '{}' | '{NULL}' | NULL
            group_by | text[] | '{g}' | '{nothing}' | '{NULL}' | NULL
            names | text[] | '{shut.p,nothing,NULL}' | NULL
            measures | jsonb | '{"n":"count(*)"}' | '{"n":"sum(nothing)"}' | '{"n":3}' | '3' | '[]' | NULL
            columns | jsonb | '{"v":"v"}' | '{"nothing":"v"}' | '{"v":"nothing"}' | '[]' | NULL
            key | jsonb | NULL | '{"nothing":"id"}' | '3'
            changes | jsonb | '{"priority":3}' | '{"nothing":3}' | '{"interval":"x"}' | '[]' | NULL
            function | text | 'own.f(int)' | 'shut.f(int)' | 'shut.nothing(int)' | 'nowhere.f(int)' | 'open.nothing(int)' | 'open.f(nothing)' | 'open.f' | '"' | '0' | NULL
            filter | text | NULL | 'shut.f(g) > 1' | 'nothing' | 'g'
            expand | text | NULL | 'SELECT id FROM shut.t' | 'SELECT nothing FROM changed' | '3'
            statement | text | 'UPDATE own.t SET v = 1' | 'UPDATE shut.t SET v = 1' | 'UPDATE nowhere SET v = 1' | 'nothing' | NULL
            token | xid8 | '1' | NULL
            timeout,max_time | interval | '0 s' | NULL
            max_keys,rows,expected_version | integer | 1 | NULL | -1
            sample,seed | double precision | 0.5 | NULL | -7
            allow_every_key,definitions | boolean | true | NULL
            """;

    /** Calls: every value of every parameter, beside right ones and, if it is a name, beside some other names. */
    private static final String CALLS = """
            CREATE TABLE public.argument AS
            SELECT p AS parameter, part[2] AS type, part[3:] AS given
            FROM string_to_table(rtrim($given$ARGUMENTS$given$, E'\n'), E'\n') l CROSS JOIN LATERAL string_to_array(l, ' | ') part CROSS JOIN LATERAL string_to_table(part[1], ',') p;
            CREATE TABLE public.parameter AS
            SELECT p.oid AS call, p.proname AS function, u.n, CASE WHEN p.proname IN ('keep', 'split', 'create_projection', 'create_rollup') AND u.name = 'name' THEN 'new name'
                       WHEN p.proname = 'create_snapshot' THEN 'relation' WHEN p.proname = 'create_rollup' AND u.name = 'source' THEN 'name' ELSE u.name END AS parameter,
                   format_type(u.type, NULL) AS type
            FROM pg_proc p CROSS JOIN LATERAL unnest(p.proargnames[:p.pronargs], p.proargtypes::oid[]) WITH ORDINALITY u(name, type, n)
            WHERE p.pronamespace = 'tally'::regnamespace AND NOT p.proargtypes::oid[] && '{regclass,regprocedure}'::regtype[]::oid[]  -- which have a form with text
              AND p.proname IN (SELECT o.proname FROM pg_proc o WHERE o.pronamespace = p.pronamespace AND obj_description(o.oid, 'pg_proc') IS NOT NULL);
            CREATE TABLE public.call AS
            WITH given AS (SELECT p.*, a.given, a.given IS NOT NULL AND p.parameter IN ('name', 'new name', 'projection', 'view', 'definition', 'target', 'source', 'relation', 'function') AS names
                           FROM public.parameter p LEFT JOIN public.argument a USING (parameter, type)),
            one AS (SELECT g.call, g.n AS n1, i AS i1, h.n AS n2, j AS j2 FROM given g CROSS JOIN LATERAL generate_subscripts(g.given, 1) i
                    LEFT JOIN given h ON h.call = g.call AND h.n > g.n AND h.names AND g.names LEFT JOIN LATERAL generate_subscripts(h.given, 1) j ON i = 1 OR j IN (1, 6, 11))
            SELECT DISTINCT format('tally.%s(%s)', g.function, string_agg(g.given[CASE g.n WHEN o.n1 THEN o.i1 WHEN o.n2 THEN o.j2 ELSE 1 END] || CASE g.type WHEN 'text' THEN '' ELSE '::' || g.type END, ', ' ORDER BY g.n)) AS call
            FROM one o JOIN given g ON g.call = o.call GROUP BY o.call, o.n1, o.i1, o.n2, o.j2, g.function
            UNION SELECT format('tally.%s()', p.proname) FROM pg_proc p
            WHERE p.pronamespace = 'tally'::regnamespace AND obj_description(p.oid, 'pg_proc') IS NOT NULL AND p.pronargs = 0
            UNION SELECT unnest('{tally.status,tally.health}'::text[]);
            """;

    /** Three schemas with the same in them: open to callers, closed to them, and one whose tables belong to one of them. */
    private static final String MADE = """
            DO $$ DECLARE r text; BEGIN FOREACH r IN ARRAY '{caller_far,caller_near,caller_owns,caller_operates,caller_reads}'::text[] LOOP
                BEGIN EXECUTE format('CREATE ROLE %I', r); EXCEPTION WHEN duplicate_object THEN NULL; END; END LOOP; END $$;
            GRANT countersink_owner TO caller_far, caller_near, caller_owns; GRANT countersink_operator TO caller_operates; GRANT countersink_reader TO caller_reads;
            CREATE SCHEMA open; CREATE SCHEMA shut; CREATE SCHEMA own; CREATE SCHEMA mine;
            DO $$ DECLARE s text; BEGIN FOREACH s IN ARRAY '{open,shut,own}'::text[] LOOP EXECUTE format($f$
                CREATE TABLE %1$s.t (id int PRIMARY KEY, g int, v int); INSERT INTO %1$s.t SELECT i, i %% 3, i FROM generate_series(1, 9) i;
                CREATE TABLE %1$s.other (id int PRIMARY KEY, v int);
                CREATE VIEW %1$s.t_def AS SELECT id, g, v FROM %1$s.t; CREATE VIEW %1$s.g_def AS SELECT g, count(*) AS n FROM %1$s.t GROUP BY g;
                CREATE FUNCTION %1$s.f(int) RETURNS int LANGUAGE sql STABLE AS 'SELECT $1';
                CREATE MATERIALIZED VIEW %1$s.m AS SELECT g, count(*) AS n FROM %1$s.t GROUP BY g; CREATE UNIQUE INDEX ON %1$s.m (g);
                SELECT tally.keep('%1$s.p', '%1$s.t_def'); SELECT tally.create_rollup('%1$s.r', '%1$s.p', '{g}', '{"n":"count(*)"}');
                SELECT tally.refresh('%1$s.p'); SELECT tally.create_projection('%1$s.d', '%1$s.t_def', '{id}');
                SELECT tally.create_snapshot('%1$s.m'); SELECT tally.activate('%1$s.m')$f$, s); END LOOP; END $$;
            GRANT USAGE ON SCHEMA open, own TO caller_near, caller_owns, caller_operates; GRANT ALL ON SCHEMA mine TO caller_near, caller_owns;
            ALTER TABLE own.t OWNER TO caller_owns; ALTER TABLE own.other OWNER TO caller_owns; ALTER VIEW own.t_def OWNER TO caller_owns; ALTER VIEW own.g_def OWNER TO caller_owns;
            ALTER MATERIALIZED VIEW own.m OWNER TO caller_owns;
            CREATE TABLE public.answer (role text, call text, state text, message text, hint text);
            """;

    private static final String ASK = """
            DO $$ DECLARE c record; a public.answer; BEGIN
                FOR c IN SELECT r AS role, x.call FROM unnest('{caller_far,caller_near,caller_owns,caller_operates,caller_reads}'::text[]) r, public.call x ORDER BY 1, 2 LOOP
                    a := NULL;
                    BEGIN
                        EXECUTE format('SET LOCAL ROLE %I', c.role);
                        EXECUTE format('SELECT count(*) FROM (SELECT * FROM %s) x', c.call);
                        RAISE SQLSTATE 'ZZZZZ';
                    EXCEPTION WHEN OTHERS THEN
                        GET STACKED DIAGNOSTICS a.state = RETURNED_SQLSTATE, a.message = MESSAGE_TEXT, a.hint = PG_EXCEPTION_HINT;
                    END;
                    RESET ROLE;
                    INSERT INTO public.answer VALUES (c.role, c.call, a.state, a.message, a.hint);
                END LOOP;
            END $$
            """;

    private final Engine engine = new Engine();

    @AfterEach
    void close() throws Exception {
        engine.close();
    }

    @Test
    void whatIsRefusedIsRefusedInASentenceOfTheEngineWithAHint() {
        engine.run("SET client_min_messages = error; SET statement_timeout = 0; " + MADE);
        engine.run(CALLS.replace("ARGUMENTS", ARGUMENTS));
        assertThat(engine.text("""
                SELECT coalesce(string_agg(format('%s(%s %s)', p.function, p.parameter, p.type), ', '), '') FROM public.parameter p
                WHERE NOT EXISTS (SELECT FROM public.argument a WHERE (a.parameter, a.type) = (p.parameter, p.type))""")).as("parameters without values to try").isEmpty();
        engine.run(ASK);
        assertThat(engine.text("""
                SELECT coalesce(string_agg(DISTINCT concat_ws(' | ', role, call, state, message, hint), E'\\n'), '') FROM public.answer
                WHERE state NOT IN ('ZZZZZ', CASE WHEN role ~ 'operates|reads' AND message ~ '^permission denied for function' THEN state ELSE '' END)
                  AND (state !~ '^TL' OR message !~ '\\.$' OR coalesce(hint, '') = '' OR message ~ 'tally_|SELECT .* FROM .*\\n')""")).isEmpty();
        assertThat(engine.number("SELECT count(DISTINCT state) FROM public.answer"))
                .isGreaterThan(10);
    }
}
