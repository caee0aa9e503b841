-- tally.redefine: give a projection another definition, online. The new one is filled beside the old one, as <name>_next with rollups
-- <rollup>_next. Readers see the old one until the new one has caught up with writers and is verified. Then a merge swaps them, with
-- their rollups, in one transaction.
--   Parameters name: a projection; definition: a view with the same key columns. It must have the columns that rollups need. If it
--              reads a table that the old one does not, declare that table first, by tally.watch
--   Writes     what tally.create_projection, watch, create_rollup and activate write, under the name <name>_next
--   Locks      the advisory lock of the projection; as tally.activate. The swap, by a later tally.merge: ACCESS EXCLUSIVE on the sources and
--              the derived tables for a moment. If it does not get them within half a second, the next merge tries again
--   Raises     TL004, TL005, TL006, TL007, TL008, TL017
--   Used by    the owner of the schema. Calling it again with the same definition does nothing, or swaps with the caller's rights if
--              <name>_next is verified. With another definition it starts over. tally.drop('<name>_next') cancels it.
--              tally.status shows its progress
CREATE OR REPLACE FUNCTION tally.redefine(name text, definition regclass)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tally.redefine_by_name(tally.called(name, pg_catalog.current_schemas(true)), definition);
EXCEPTION WHEN insufficient_privilege THEN
    PERFORM tally.fail_denied(name, SQLERRM);
END
$$;
COMMENT ON FUNCTION tally.redefine(text, regclass) IS
    'give a projection another definition, online: filled beside, caught up, verified, then swapped in one transaction';

-- tally.redefine: the same, with a name as text.
CREATE OR REPLACE FUNCTION tally.redefine(name text, definition text)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tally.redefine(name, tally.relation_given(definition, pg_catalog.current_setting('search_path')));
END
$$;

-- tally.redefine_by_name: the same, whatever the caller's search_path.
CREATE OR REPLACE FUNCTION tally.redefine_by_name(name text, definition regclass)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    v    tally.derived_view := tally.lock_root(name);  -- so that no merge swaps meanwhile
    next tally.derived_view;
BEGIN
    v := tally.lookup(name);
    next := tally.replacement_of(v.id);
    IF (tally.split_of(v)).rollup_id IS NOT NULL AND (v.kind = 'projection' OR v.id = (tally.split_of(v)).rollup_id) THEN
        PERFORM tally.refuse_redefined_split(v, tally.split_of(v), definition);
    END IF;
    IF v.kind <> 'projection' THEN
        PERFORM tally.fail('TL004', format('%s is a %s; only a projection is redefined, and its rollups follow.', tally.part(v), v.kind));
    END IF;
    PERFORM tally.require_active(v);
    PERFORM tally.require_present(v);
    PERFORM tally.require_firing(v);
    IF v.replaces_id IS NOT NULL THEN
        PERFORM tally.fail('TL005', format('%s is itself about to take the place of another view.', tally.part(v)));
    END IF;
    IF next.definition = redefine_by_name.definition AND next.verified_at IS NOT NULL THEN
        PERFORM pg_advisory_xact_lock(tally.lock_class(), next.id);
        IF tally.follow_rollups(v, next) THEN
            UPDATE tally.derived_view d SET verified_at = NULL WHERE d.id = next.id;  -- a merge verifies it again
        ELSIF NOT tally.swap(v, next) THEN
            RAISE NOTICE 'The swap waits for a transaction that holds % or a source, or reads with an older snapshot, here or on a replica.', tally.part(v);
        END IF;
        RETURN;
    ELSIF next.definition = redefine_by_name.definition AND next.state <> 'defined' THEN
        RETURN;
    ELSIF next.id IS NOT NULL THEN
        PERFORM tally.drop(tally.part(next));
    END IF;
    BEGIN
        PERFORM tally.follow_definition(v);  -- the sources are copied with the names that their columns have now
        v := tally.view_by_id(v.id);
    EXCEPTION WHEN sqlstate 'TL006' OR sqlstate 'TL007' OR sqlstate 'TL008' OR sqlstate 'TL010' OR sqlstate 'TL016' OR sqlstate 'TL018' OR sqlstate 'TL023' THEN
        NULL;  -- the definition cannot be followed; perhaps that is why it is replaced
    END;
    PERFORM tally.require_unused(v);
    PERFORM tally.require_written_columns(v, definition);
    PERFORM tally.create_projection(tally.next_name(v), definition, v.key::text[], v.identity::text[]);
    PERFORM tally.require_same_key(v, definition);
    next := tally.lookup(tally.next_name(v));
    UPDATE tally.derived_view d SET replaces_id = v.id, allowed = v.allowed WHERE d.id = next.id;
    PERFORM tally.copy_sources(v, next);
    PERFORM tally.follow_rollups(v, next);
    PERFORM tally.require_carried(v);
    PERFORM tally.copy_storage(v);
    PERFORM tally.copy_indexes(v);
    PERFORM tally.activate(tally.part(next));
END
$$;

-- tally.refuse_redefined_split: raise TL004. The hint has the statements that give a split view another definition.
CREATE OR REPLACE FUNCTION tally.refuse_redefined_split(v tally.derived_view, s tally.split, definition regclass)
RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    r    tally.derived_view := tally.view_by_id(s.rollup_id);
    kept text := format('%I.%I', r.schema_name, coalesce(s.shown, r.relation_name));
BEGIN
    PERFORM tally.fail('TL004', format('%s is kept as the groups of %s, and follows that.', tally.part(v), r.definition),
        format('CREATE OR REPLACE VIEW %s AS …; the next merge follows if its groups and aggregates stay. Else, in one transaction: SELECT tally.drop(%L); SELECT tally.keep(%2$L, %L).',
               r.definition, kept, definition));
END
$$;

-- tally.replacement_of: the projection that is being filled to replace another one; NULLs if there is none.
CREATE OR REPLACE FUNCTION tally.replacement_of(view_id integer)
RETURNS tally.derived_view LANGUAGE sql STABLE AS $$
    SELECT d FROM tally.derived_view d WHERE d.replaces_id = view_id
$$;

-- tally.next_name: the name under which a derived view's replacement is filled: <name>_next, with the name cut if it is too long.
CREATE OR REPLACE FUNCTION tally.next_name(v tally.derived_view)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format('%I.%I', v.schema_name, tally.cut_name(v.relation_name, 35) || '_next')
$$;

-- tally.require_same_key: raise TL006 unless a definition has the key and the identity of a projection, with the same types or with wider
-- ones (int to bigint) that the old ones are cast to implicitly.
CREATE OR REPLACE FUNCTION tally.require_same_key(v tally.derived_view, definition regclass)
RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE
    c name;
BEGIN
    PERFORM tally.require_columns(definition, v.identity);
    FOREACH c IN ARRAY v.key LOOP
        IF tally.type_of(definition, c) <> tally.type_of(v.definition, c) AND NOT tally.is_wider(definition, v.definition, c) THEN
            PERFORM tally.fail('TL006', format('Key column "%s" is %s in %s, but %s in %s.', c, tally.type_of(definition, c), definition,
                tally.type_of(v.definition, c), v.definition));
        END IF;
    END LOOP;
END
$$;

-- tally.is_wider: whether a column's type in one relation is cast implicitly to its type in another.
CREATE OR REPLACE FUNCTION tally.is_wider(wide regclass, narrow regclass, col name)
RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT EXISTS (SELECT FROM pg_attribute w JOIN pg_attribute n ON n.attrelid = narrow AND n.attname = col
                   JOIN pg_cast k ON k.castsource = n.atttypid AND k.casttarget = w.atttypid AND k.castcontext = 'i' WHERE w.attrelid = wide AND w.attname = col)
$$;

-- tally.require_unused: raise TL017 if something that does not belong to the engine depends on a projection, a rollup above it or
-- one of their views, because the swap would lose it. The hint has the comments on these triggers and views, which may say what to do.
CREATE OR REPLACE FUNCTION tally.require_unused(v tally.derived_view)
RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE
    users text;
    hints text;
BEGIN
    WITH made AS (
        SELECT to_regclass(tally.part(d, s)) AS relation FROM tally.derived_view d, unnest('{"",_live,_def,_change}'::text[]) s
        WHERE v.id IN (d.id, d.root_id) AND (s <> '_def' OR d.kind = 'rollup') AND to_regclass(tally.part(d, s)) IS NOT NULL
    ), used AS (
        SELECT r.ev_class::regclass::text AS by, obj_description(r.ev_class, 'pg_class') AS says FROM made m JOIN pg_depend d ON d.refobjid = m.relation AND d.classid = 'pg_rewrite'::regclass
        JOIN pg_rewrite r ON r.oid = d.objid WHERE r.ev_class NOT IN (SELECT relation FROM made)
        UNION SELECT format('a foreign key of %s', c.conrelid::regclass), NULL FROM made m JOIN pg_constraint c ON c.confrelid = m.relation
        UNION SELECT format('constraint %I of %s', c.conname, m.relation), NULL FROM made m JOIN pg_constraint c ON c.conrelid = m.relation AND c.contype <> 'n'
        UNION SELECT format('trigger %I of %s', t.tgname, m.relation), obj_description(t.oid, 'pg_trigger') FROM made m JOIN pg_trigger t ON t.tgrelid = m.relation WHERE NOT t.tgisinternal AND t.tgname !~ '^tally_write_back_'
        UNION SELECT format('rule %I of %s', r.rulename, m.relation), NULL FROM made m JOIN pg_rewrite r ON r.ev_class = m.relation WHERE r.rulename <> '_RETURN'
        UNION SELECT format('policy %I of %s', p.polname, p.polrelid::regclass), NULL FROM made m JOIN pg_depend d ON d.refobjid = m.relation AND d.classid = 'pg_policy'::regclass
        JOIN pg_policy p ON p.oid = d.objid WHERE p.polrelid <> m.relation
        UNION SELECT format('inheritance between %s and %s', i.inhrelid::regclass, i.inhparent::regclass), NULL FROM made m JOIN pg_inherits i ON m.relation IN (i.inhrelid, i.inhparent)
        UNION SELECT format('column %I of %s', c, m.relation), NULL FROM made m JOIN tally.derived_view d ON m.relation = tally.relation_of(d)
        CROSS JOIN LATERAL unnest(tally.columns_of(m.relation)) c WHERE c <> ALL (tally.columns_of(CASE d.kind WHEN 'projection' THEN d.definition ELSE tally.relation_of(d, '_def') END))
        UNION SELECT f.oid::regprocedure::text, NULL FROM made m JOIN pg_depend d ON d.refobjid = m.relation AND d.classid = 'pg_proc'::regclass
        JOIN pg_proc f ON f.oid = d.objid WHERE f.proname !~ '_expand_\d+$'
    )
    SELECT string_agg(DISTINCT by, ', ' ORDER BY by), string_agg(format(' The comment on %s: %s.', by, says), '' ORDER BY by) FILTER (WHERE says <> '')
    INTO users, hints FROM used;
    IF users IS NOT NULL THEN
        PERFORM tally.fail('TL017', format('%s cannot be swapped: %s is built on it or on its rollups.', tally.part(v), users),
            'Drop what is built on it first.' || coalesce(hints, ''));
    END IF;
END
$$;
