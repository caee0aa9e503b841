-- tally.follow_definition: before a merge: check whether the definition still means the same and has the same names.
-- If not, generate its code again; if the meaning has changed, the next merges also sweep every key.
--   Parameters v: a projection or a snapshot, with its advisory lock held; told: generate the code even if nothing seems to have changed
--   Returns    whether code was generated again
--   Reads      tally.glance, which takes some tenths of a millisecond; the whole fingerprint only if that differs
--   Writes     tally.fingerprint, tally.source, tally.derived_view, tally.since_crash; functions and views; a sweep
--   Locks      if names have changed, or other columns than before decide whether an UPDATE is logged: SHARE ROW EXCLUSIVE on the sources until
--              the transaction ends, which is soon. It gives up after half a second
--   Raises     TL007, TL008, TL016 as tally.activate; TL015; TL023
CREATE OR REPLACE FUNCTION tally.follow_definition(v tally.derived_view, told boolean DEFAULT false)
RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    old tally.fingerprint;
    new tally.fingerprint;
BEGIN
    PERFORM tally.follow_split(v);
    PERFORM tally.follow_crash(v);
    v := tally.with_definition(v);
    SELECT * INTO old FROM tally.fingerprint f WHERE f.view_id = v.id;
    IF old.glance = tally.glance(old) AND NOT told THEN
        RETURN tally.mend_if_noted(tally.view_by_id(v.id), old);
    END IF;
    IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = v.definition) THEN
        RETURN false;  -- dropped: tally.lost reports it
    END IF;
    IF old.place = tally.place() THEN
        PERFORM tally.follow_triggers(v);
    END IF;
    new := tally.fingerprint_of(v);
    IF old.place IS DISTINCT FROM new.place THEN  -- made by an engine without fingerprints, or restored from a dump
        PERFORM tally.remember_made(v);
        PERFORM tally.take_fingerprint(v);
        PERFORM tally.note_wanted(v);
        IF old.collations IS DISTINCT FROM new.collations AND old.place IS NOT NULL THEN
            PERFORM tally.enqueue_sweep(v);
        END IF;
        RETURN false;
    END IF;
    IF (old.meaning, old.names, old.collations) = (new.meaning, new.names, new.collations) AND NOT tally.is_renamed(v.id) AND NOT told THEN
        UPDATE tally.fingerprint f SET glance = new.glance, relations = new.relations, triggers = tally.trigger_states(v.id) || f.triggers WHERE f.view_id = v.id;
        RETURN false;
    END IF;
    IF NOT tally.is_owner(v) THEN
        PERFORM tally.fail('TL023', format('What %s is made of has changed, and %s may not make its functions anew.', tally.part(v), current_user),
            format('Its owner, or a superuser, has to call tally.heal(%L).', tally.part(v)));
    END IF;
    PERFORM tally.make_for_definition(v, old, new);
    RETURN true;
END
$$;

-- tally.unlogged_parts: the unlogged tables of a projection or a snapshot: its own, those of its rollups, and its sources. A crash empties them.
CREATE OR REPLACE FUNCTION tally.unlogged_parts(root integer)
RETURNS SETOF regclass LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT c.oid::regclass FROM tally.made_now m JOIN tally.derived_view d ON d.id = m.view_id AND root IN (d.id, d.root_id) JOIN pg_class c ON c.oid = m.relation AND c.relpersistence = 'u'
    UNION
    SELECT c.oid::regclass FROM tally.source s CROSS JOIN LATERAL tally.table_and_children(s.relation) t JOIN pg_class c ON c.oid = t AND c.relpersistence = 'u'
    WHERE s.projection_id = root AND s.columns IS NOT NULL
$$;

-- tally.follow_crash: runs once after each crash. If the crash emptied a table of a derived view, every key and every cell is compared again.
--   Writes     tally.since_crash; a sweep, and the rollups that do not add up
CREATE OR REPLACE FUNCTION tally.follow_crash(v tally.derived_view)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF v.state = 'defined' OR EXISTS (SELECT FROM tally.since_crash c WHERE c.view_id = v.id) THEN
        RETURN;
    END IF;
    INSERT INTO tally.since_crash (view_id) VALUES (v.id);
    IF EXISTS (SELECT FROM tally.unlogged_parts(v.id)) THEN
        IF v.kind = 'projection' THEN
            EXECUTE format('SELECT %s()', tally.declarers(v, '_mend'));
        END IF;
        PERFORM tally.enqueue_sweep(v);
    END IF;
END
$$;

-- tally.make_for_definition: generate code again for a definition whose meaning or names have changed.
CREATE OR REPLACE FUNCTION tally.make_for_definition(v tally.derived_view, old tally.fingerprint, new tally.fingerprint)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    renamed  boolean := tally.is_renamed(v.id);
    patience text := current_setting('lock_timeout');
BEGIN
    -- Writers at work use the old names, or log too little. And a name must not change while a trigger function waits for the table.
    IF renamed OR old.names <> new.names OR old.used <> new.used OR old.meaning = '' THEN
        PERFORM tally.lock_sources_briefly(v);
        PERFORM set_config('lock_timeout', '500ms', true);  -- writers wait for this transaction now
        DELETE FROM tally.unlogged u WHERE u.view_id = v.id;
        renamed := renamed OR FOUND;
    END IF;
    PERFORM tally.follow_names(d) FROM tally.derived_view d WHERE v.id IN (d.id, d.root_id);
    PERFORM tally.follow_filter(d) FROM tally.derived_view d WHERE d.root_id = v.id AND d.filter IS NOT NULL;
    v := tally.view_by_id(v.id);
    PERFORM tally.follow_columns(v, old.watched);
    IF v.kind = 'projection' AND old.meaning <> new.meaning THEN
        PERFORM tally.require_same_columns(v);
        PERFORM tally.derive_anew(v);
    END IF;
    PERFORM tally.refuse_unsafe(v, v.definition);
    IF v.kind = 'snapshot' THEN
        PERFORM tally.activate_snapshot(v);
    ELSE
        PERFORM tally.require_same_columns(v);
        PERFORM tally.drop_generated(v);
        PERFORM tally.generate_anew(v);
        PERFORM tally.note_doubts(v);
        PERFORM tally.note_wanted(v);
        IF old.meaning <> new.meaning OR old.collations <> new.collations THEN
            PERFORM tally.reindex_made(v, old.collations <> new.collations);
        END IF;
        IF renamed OR old.meaning <> new.meaning OR old.collations <> new.collations THEN
            PERFORM tally.enqueue_sweep(v);
            -- A body's plan may still call the function that a new overload takes the place of, and PostgreSQL cannot drop the plans of one function.
            -- Those of the application's session are dropped too; that costs it one planning each: its prepared statements and cursors stay.
            DISCARD PLANS;
        END IF;
    END IF;
    PERFORM tally.take_fingerprint(v);
    UPDATE tally.fingerprint f SET mend = v.kind = 'projection' AND (old.meaning <> new.meaning OR old.collations <> new.collations) WHERE f.view_id = v.id;
    PERFORM set_config('lock_timeout', patience, true);
EXCEPTION WHEN lock_not_available THEN
    PERFORM tally.fail('TL015', format('What was made for %s could not be made anew within 500 ms: %s.', tally.part(v), SQLERRM));
WHEN undefined_table THEN
    IF NOT tally.is_renamed(v.id) THEN
        RAISE;
    END IF;
    PERFORM tally.fail('TL015', format('What was made for %s could not be made anew, because something was renamed meanwhile: %s.', tally.part(v), SQLERRM));
END
$$;

-- tally.reindex_made: rebuild the indexes of derived tables after the meaning of a type has changed. An attribute added to a composite
-- type changes its hash; another version of a collation changes the order.
--   Parameters every: rebuild all of them; otherwise only those of tables with a composite column
--   Locks      ACCESS EXCLUSIVE on the indexes, until the merge ends
CREATE OR REPLACE FUNCTION tally.reindex_made(v tally.derived_view, every boolean)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    i regclass;
BEGIN
    FOR i IN SELECT x.indexrelid::regclass FROM tally.derived_view d JOIN tally.made_now m ON m.view_id = d.id JOIN pg_index x ON x.indrelid = m.relation
             WHERE v.id IN (d.id, d.root_id) AND m.suffix <> '_delta'  -- its indexes are on numbers, and writers at work would be waited for
               AND (every OR EXISTS (
                 SELECT FROM pg_attribute a CROSS JOIN LATERAL unnest(tally.types_below(ARRAY[a.atttypid])) u(oid) JOIN pg_type t ON t.oid = u.oid AND t.typtype = 'c'
                 WHERE a.attrelid = x.indrelid AND a.attnum > 0 AND NOT a.attisdropped)) ORDER BY x.indexrelid LOOP
        EXECUTE 'REINDEX INDEX ' || i;
    END LOOP;
END
$$;

-- tally.mend_if_noted: after a change of the definition, recompute the rollups that differ from the sum of the rows below them. A function
-- in a rollup's filter may have changed.
CREATE OR REPLACE FUNCTION tally.mend_if_noted(v tally.derived_view, f tally.fingerprint)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF f.mend THEN
        EXECUTE format('SELECT %s()', tally.declarers(v, '_mend'));
        UPDATE tally.fingerprint x SET mend = false WHERE x.view_id = v.id;
    END IF;
    RETURN false;
END
$$;

-- tally.follow_names: after a derived table was renamed or moved to another schema, do the same to everything that was made for it.
--   Writes     tally.derived_view; the names
CREATE OR REPLACE FUNCTION tally.follow_names(d tally.derived_view)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    wanted record;  -- the present name of the table
    rest   name;    -- the schema of the other tables
    m      record;
BEGIN
    SELECT n.nspname, left(c.relname, length(c.relname) - length(x.suffix)) AS relname, x.suffix INTO wanted
    FROM tally.made_now x JOIN pg_class c ON c.oid = x.relation JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE x.view_id = d.id ORDER BY x.suffix LIMIT 1;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    FOR m IN SELECT x.relation, x.suffix, c.relname FROM tally.made_now x JOIN pg_class c ON c.oid = x.relation
             WHERE x.view_id = d.id AND x.suffix <> wanted.suffix AND c.relname <> d.relation_name || x.suffix LOOP
        EXECUTE format('ALTER TABLE %s RENAME TO %I', m.relation, d.relation_name || m.suffix);
    END LOOP;
    SELECT n.nspname INTO rest FROM tally.made_now x JOIN pg_class c ON c.oid = x.relation JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE x.view_id = d.id AND x.suffix <> wanted.suffix LIMIT 1;
    IF coalesce(rest, wanted.nspname) <> d.schema_name THEN
        UPDATE tally.derived_view x SET schema_name = coalesce(rest, wanted.nspname) WHERE x.id = d.id RETURNING * INTO d;
    END IF;
    IF wanted.nspname <> d.schema_name THEN
        PERFORM tally.move_made(d, wanted.nspname, wanted.suffix);
        UPDATE tally.derived_view x SET schema_name = wanted.nspname WHERE x.id = d.id RETURNING * INTO d;
    END IF;
    IF wanted.relname <> d.relation_name THEN
        IF octet_length(wanted.relname) > 40 THEN
            PERFORM tally.fail('TL003', format('"%s" is too long for the name of a derived view.', wanted.relname));
        END IF;
        PERFORM tally.rename_made(d, wanted.relname, wanted.suffix);
        UPDATE tally.derived_view x SET relation_name = wanted.relname WHERE x.id = d.id;
    END IF;
END
$$;

-- tally.follow_filter: update the text of a rollup's filter after a rename. PostgreSQL has already updated the rollup's oracle, so the text is taken from there.
--   Writes     tally.derived_view
CREATE OR REPLACE FUNCTION tally.follow_filter(r tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on SET quote_all_identifiers = off AS $$
DECLARE
    now_is text := (regexp_match(pg_get_viewdef(tally.part(r, '_def')::regclass), '\n\s*WHERE (.*?)(?:\n\s*GROUP BY [^\n]*)?;?\s*$'))[1];
BEGIN
    IF now_is <> r.filter THEN
        UPDATE tally.derived_view d SET filter = '(' || now_is || ')' WHERE d.id = r.id;
    END IF;
END
$$;

-- tally.move_made: move what was made for one derived view to another schema, except what is already there.
--   Parameters followed: the suffix of the table that is there already
DROP FUNCTION IF EXISTS tally.move_made(tally.derived_view, name);  -- it had fewer parameters
CREATE OR REPLACE FUNCTION tally.move_made(d tally.derived_view, target name, followed text)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    o record;
BEGIN
    FOR o IN SELECT f.function FROM tally.functions_made(d) f LOOP
        EXECUTE format('ALTER FUNCTION %s SET SCHEMA %I', o.function, target);
    END LOOP;
    FOR o IN SELECT s FROM unnest('{_identity,_cell,_touched}'::text[]) s WHERE to_regtype(tally.part(d, s)) IS NOT NULL LOOP
        EXECUTE format('ALTER TYPE %s SET SCHEMA %I', tally.part(d, o.s), target);
    END LOOP;
    FOR o IN SELECT s FROM unnest('{"",_delta,_state,_live,_change,_def}'::text[]) s
             WHERE s <> followed AND to_regclass(tally.part(d, s)) IS NOT NULL AND (s <> '_def' OR d.kind = 'rollup') LOOP  -- the _def of a projection belongs to the user
        EXECUTE format('ALTER TABLE %s SET SCHEMA %I', tally.part(d, o.s), target);
    END LOOP;
END
$$;

-- tally.follow_columns: after a rename, update the names of watched columns and of the delta table's columns. They are found by their numbers.
--   Parameters watched: the column numbers that the fingerprint holds
--   Writes     tally.source; the delta table
--   Raises     TL023 for a watched column that was dropped
CREATE OR REPLACE FUNCTION tally.follow_columns(v tally.derived_view, watched jsonb)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    s     tally.source;
    names name[];
    i     integer;
BEGIN
    FOR s IN SELECT * FROM tally.source x WHERE x.projection_id = v.id AND x.columns IS NOT NULL AND x.columns <> '{}' AND watched ? x.ordinal::text LOOP
        names := ARRAY(SELECT a.attname FROM jsonb_array_elements_text(watched -> s.ordinal::text) WITH ORDINALITY n(attnum, i)
                       LEFT JOIN pg_attribute a ON a.attrelid = s.relation AND a.attnum = n.attnum::smallint AND NOT a.attisdropped ORDER BY n.i);
        CONTINUE WHEN names = s.columns;
        IF array_position(names, NULL) IS NOT NULL THEN
            PERFORM tally.fail('TL023', format('Column "%s" of %s, which %s watches, was dropped.', s.columns[array_position(names, NULL)], s.relation, tally.part(v)),
                format('Declare %s again, watching a column that is there.', tally.part(v)));
        END IF;
        IF s.expand IS NOT NULL THEN
            FOR i IN SELECT g FROM generate_subscripts(names, 1) g WHERE tally.logged_column(s.ordinal, names[g]) <> tally.logged_column(s.ordinal, s.columns[g]) LOOP
                EXECUTE format('ALTER TABLE %s RENAME COLUMN %I TO %I', tally.part(v, '_delta'), tally.logged_column(s.ordinal, s.columns[i]), tally.logged_column(s.ordinal, names[i]));
            END LOOP;
        END IF;
        UPDATE tally.source x SET columns = names WHERE x.projection_id = v.id AND x.ordinal = s.ordinal;
    END LOOP;
END
$$;

-- tally.require_same_columns: raise TL023 if a definition has other output columns than the derived table.
CREATE OR REPLACE FUNCTION tally.require_same_columns(v tally.derived_view)
RETURNS void LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF tally.columns_of(v.definition) <> tally.columns_of(tally.part(v)::regclass) THEN
        PERFORM tally.fail('TL023', format('%s has the columns (%s) now, but %s has (%s).', v.definition, tally.column_list(tally.columns_of(v.definition)),
            tally.part(v), tally.column_list(tally.columns_of(tally.part(v)::regclass))),
            format('SELECT tally.redefine(%L, %L) fills a table with the new columns and puts it in place.', tally.part(v), v.definition));
    END IF;
END
$$;

-- tally.lock_sources_briefly: as tally.lock_sources, but writers that queue behind it wait half a second at most.
CREATE OR REPLACE FUNCTION tally.lock_sources_briefly(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET lock_timeout = '500ms' AS $$
BEGIN
    PERFORM tally.interrupt_autovacuum(tally.watched_tables(v));
    PERFORM tally.lock_sources(v);
END
$$;

-- tally.drop_generated: drop the functions of a projection and its rollups that will be generated again, because their arguments may have
-- changed. Functions that triggers or views depend on are kept.
CREATE OR REPLACE FUNCTION tally.drop_generated(v tally.derived_view)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    f text;
BEGIN
    FOR f IN SELECT m.function FROM tally.derived_view d CROSS JOIN LATERAL tally.functions_made(d) m
             WHERE v.id IN (d.id, d.root_id) AND m.suffix !~ '^_(log|begin|move|expand|live|write_back|pending$)' LOOP
        EXECUTE format('DROP FUNCTION %s', f);
    END LOOP;
END
$$;

-- tally.will_watch_more: whether the next merge will watch the unwatched tables that the definition reads. It does so if the sources were derived.
CREATE OR REPLACE FUNCTION tally.will_watch_more(v tally.derived_view)
RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT EXISTS (SELECT FROM tally.source s WHERE s.projection_id = v.id AND s.derived)
       AND coalesce(bool_and(c.relkind IN ('r', 'p') AND pg_has_role(v_class.relowner, c.relowner, 'USAGE')), false)
       AND NOT EXISTS (SELECT FROM tally.merge_state m WHERE m.view_id = v.id AND m.error_sqlstate IN ('TL007', 'TL008', 'TL016'))
    FROM tally.tables_read(v.definition) t JOIN pg_class c ON c.oid = t
    JOIN pg_class v_class ON v_class.oid = tally.relation_of(v)
    WHERE NOT tally.is_source(v.id, t)
$$;

-- tally.definition_trouble: a change of a definition that the engine has not followed yet; NULL: none.
--   Used by    tally.health
CREATE OR REPLACE FUNCTION tally.definition_trouble(view_id integer)
RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    v   tally.derived_view := tally.view_by_id(view_id);
    old tally.fingerprint;
    new tally.fingerprint;
BEGIN
    SELECT * INTO old FROM tally.fingerprint f WHERE f.view_id = v.id;
    IF tally.split_trouble(v) IS NOT NULL THEN
        RETURN tally.split_trouble(v);
    ELSIF NOT FOUND OR v.state = 'defined' OR old.glance = tally.glance(old) OR NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = v.definition) THEN
        RETURN NULL;
    END IF;
    IF old.place = tally.place() AND tally.trigger_trouble(v) IS NOT NULL THEN
        RETURN tally.trigger_trouble(v);
    END IF;
    IF tally.is_renamed(v.id) THEN
        RETURN format('it has another name or schema now: the next merge, or tally.heal(%L), follows', tally.part(v));
    END IF;
    new := tally.fingerprint_of(v);
    IF old.place = new.place AND (old.meaning, old.names, old.collations) IS DISTINCT FROM (new.meaning, new.names, new.collations) THEN
        IF NOT tally.will_watch_more(v) THEN
            PERFORM tally.refuse_unsafe(v, v.definition);
        END IF;
        IF v.kind = 'projection' THEN
            PERFORM tally.require_same_columns(v);
        END IF;
        RETURN format('what %s is made of has changed: the next merge, or tally.heal(%L), follows', v.definition, tally.part(v));
    END IF;
    RETURN NULL;
EXCEPTION
    WHEN sqlstate 'TL007' OR sqlstate 'TL008' OR sqlstate 'TL016' OR sqlstate 'TL018' OR sqlstate 'TL023' THEN
        RETURN format('merges have stopped: %s', SQLERRM);
    WHEN syntax_error OR undefined_table OR undefined_object OR invalid_schema_name THEN
        RETURN format('something that it is made of was dropped a moment ago: %s', SQLERRM);
END
$$;
