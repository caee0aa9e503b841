-- tally.split: keep a view with GROUP BY by differences: a projection of the ungrouped rows, and a rollup over it.
--   Parameters name: of the table to make, with the columns of the view; definition: a view that groups; allow_every_key: as of tally.keep
--   Writes     <name>_rows_def, a view of the rows with a primary key; <name>_rows, the projection; <name>, the rollup. If the view
--              computes with its aggregates, or its columns have another order than a rollup's: the rollup is <name>_sums, and <name> and
--              <name>_live are views over it. Also tally.split, and what tally.keep writes
--   Locks      as tally.activate: commit soon after
--   Raises     TL028 (why it cannot be split), TL026 (a source makes every key pending), and what tally.create_projection, create_rollup and activate raise
--   Used by    tally.keep; the owner of the schema
CREATE OR REPLACE FUNCTION tally.split(name text, definition regclass, allow_every_key boolean DEFAULT false)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tally.split_view(tally.full_name(name, pg_catalog.current_schema()), definition, allow_every_key);
EXCEPTION WHEN insufficient_privilege THEN
    PERFORM tally.fail_denied(name, SQLERRM);
END
$$;
COMMENT ON FUNCTION tally.split(text, regclass, boolean) IS 'keep a view that groups by differences: its rows as a projection, and a rollup over it';

-- tally.split: the same, with a name as text.
CREATE OR REPLACE FUNCTION tally.split(name text, definition text, allow_every_key boolean DEFAULT false)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tally.split(name, tally.relation_given(definition, pg_catalog.current_setting('search_path')), allow_every_key);
END
$$;

-- tally.split_view: the same, whatever the caller's search_path.
CREATE OR REPLACE FUNCTION tally.split_view(name text, definition regclass, allow_every_key boolean)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
#variable_conflict use_column
DECLARE
    place  name[] := tally.split_name(name);
    made   jsonb;
    rows_  text   := format('%I.%I', place[1], tally.cut_name(place[2], 35) || '_rows');
    rows_def text := format('%I.%I', place[1], tally.cut_name(place[2], 35) || '_rows_def');
    root   tally.derived_view;
    r      tally.derived_view;
    message text;
    hint    text;
BEGIN
    IF (SELECT c.relkind FROM pg_class c WHERE c.oid = definition) IS DISTINCT FROM 'v' THEN
        PERFORM tally.no_view(definition);
    END IF;
    PERFORM tally.require_rights(definition);
    made := tally.split_parts(definition);
    IF made ? 'why' THEN
        PERFORM tally.fail('TL028', format('%s is not kept by differences: %s.', definition, made ->> 'why'));
    END IF;
    PERFORM tally.require_free(place, '{"",_live,_rows_def}');
    EXECUTE format('CREATE VIEW %s AS %s', rows_def, made ->> 'rows');
    EXECUTE format('COMMENT ON VIEW %s IS %L', rows_def, format('the rows that %s groups; made by tally.split, goes with tally.drop(%L)', definition, format('%I.%I', place[1], place[2])));
    PERFORM tally.declare_projection(rows_, rows_def::regclass, ARRAY(SELECT jsonb_array_elements_text(made -> 'key')), NULL);
    root := tally.lock_root(rows_);
    PERFORM tally.keep_sources(root, allow_every_key);
    r := tally.declare_rollup(CASE made -> 'above' WHEN 'null' THEN place ELSE ARRAY[place[1], (tally.cut_name(place[2], 35) || '_sums')::name] END,
        root, root, ARRAY(SELECT jsonb_array_elements_text(made -> 'groups')), made -> 'measures', NULL, definition);
    INSERT INTO tally.split (rollup_id, shown, made_of, definition_digest, rule)
    VALUES (r.id, CASE WHEN made -> 'above' <> 'null' THEN place[2] END, made, md5(tally.definition_text(definition)), tally.rule_version(definition));
    BEGIN
        PERFORM tally.activate_by_name(rows_);
    EXCEPTION WHEN SQLSTATE 'TL008' THEN
        GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
        PERFORM tally.fail_undeclared(message, hint, name, definition, NULL);
    END;
    IF made -> 'above' <> 'null' THEN
        PERFORM tally.make_above(place, r, made -> 'above');
    END IF;
    PERFORM tally.require_columns_of(format('%I.%I', place[1], place[2])::regclass, definition);
END
$$;

-- tally.make_above: the views over a rollup that have the columns of the view that was split.
CREATE OR REPLACE FUNCTION tally.make_above(parts name[], r tally.derived_view, above jsonb)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    list text := (SELECT string_agg(a, ', ' ORDER BY i) FROM jsonb_array_elements_text(above) WITH ORDINALITY u(a, i));
BEGIN
    EXECUTE format('CREATE VIEW %I.%I AS SELECT %s FROM %s s', parts[1], parts[2], list, tally.part(r));
    EXECUTE format('CREATE VIEW %I.%I AS SELECT %s FROM %s s', parts[1], parts[2] || '_live', list, tally.part(r, '_live'));
    EXECUTE format('COMMENT ON VIEW %I.%I IS %L', parts[1], parts[2], format('%s, computed from what %s stores; exact now: %I.%I', r.definition, tally.part(r), parts[1], parts[2] || '_live'));
    EXECUTE format('COMMENT ON VIEW %I.%I IS %L', parts[1], parts[2] || '_live', format('%s, exact at the reader''s snapshot', r.definition));
    IF to_regrole('countersink_reader') IS NOT NULL THEN
        EXECUTE format('GRANT SELECT ON %I.%I, %I.%I TO countersink_reader', parts[1], parts[2], parts[1], parts[2] || '_live');
    END IF;
EXCEPTION WHEN syntax_error_or_access_rule_violation THEN
    PERFORM tally.fail('TL028', format('%s is not kept by differences: what it computes with its aggregates cannot be computed over them (%s).', r.definition, SQLERRM));
END
$$;

-- tally.require_columns_of: raise TL028 unless a relation has the columns of a view, of the same types and in their order.
CREATE OR REPLACE FUNCTION tally.require_columns_of(relation regclass, definition regclass)
RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    other text;
BEGIN
    SELECT format('column %s would be %s %s in place of %s %s', coalesce(d.attnum, r.attnum), r.attname, r.type, d.attname, d.type) INTO other
    FROM (SELECT row_number() OVER (ORDER BY attnum) AS attnum, attname, format_type(atttypid, NULL) AS type, attcollation FROM pg_attribute WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped) r
    FULL JOIN (SELECT row_number() OVER (ORDER BY attnum) AS attnum, attname, format_type(atttypid, NULL) AS type, attcollation FROM pg_attribute WHERE attrelid = definition AND attnum > 0 AND NOT attisdropped) d USING (attnum)
    WHERE (r.attname, r.type, r.attcollation) IS DISTINCT FROM (d.attname, d.type, d.attcollation) LIMIT 1;
    IF FOUND THEN
        PERFORM tally.fail('TL028', format('%s is not kept by differences: %s.', definition, other));
    END IF;
END
$$;

-- tally.definition_text: a view's query as PostgreSQL prints it. tally.rule_version: identifies the stored version of that query.
CREATE OR REPLACE FUNCTION tally.definition_text(definition regclass)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on SET quote_all_identifiers = off AS 'SELECT pg_get_viewdef(definition)';
CREATE OR REPLACE FUNCTION tally.rule_version(definition regclass)
RETURNS text LANGUAGE sql STABLE AS $$ SELECT r.xmin::text FROM pg_rewrite r WHERE r.ev_class = definition AND r.rulename = '_RETURN' $$;

-- tally.reads_others: whether the rows of a view that was split read something that the view does not read any more. The text does not show
-- it if another table or function has taken the name of the one that was read.
CREATE OR REPLACE FUNCTION tally.reads_others(rows_ regclass, definition regclass)
RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (
        SELECT d.refclassid, d.refobjid FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid WHERE r.ev_class = rows_ AND d.refobjid <> rows_
        EXCEPT
        SELECT d.refclassid, d.refobjid FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid WHERE r.ev_class = reads_others.definition)
$$;

-- tally.keep_sources: watch every source of a projection as derived from its definition.
--   Raises     TL016, TL026
CREATE OR REPLACE FUNCTION tally.keep_sources(v tally.derived_view, allow_every_key boolean)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    d record;
BEGIN
    FOR d IN SELECT x.*, c.relkind FROM tally.derive(v.definition, v.key, tally.part(v)) WITH ORDINALITY x(source, columns, expand, reach, why, ways, shape, n) JOIN pg_class c ON c.oid = x.source ORDER BY x.n LOOP
        IF d.relkind NOT IN ('r', 'p') THEN
            PERFORM tally.fail('TL016', format('%s reads %s, which is no ordinary table, so triggers cannot watch it.', v.definition, d.source), tally.steps_with_static(v, d.source));
        ELSIF d.reach = 'every key' AND NOT allow_every_key THEN
            PERFORM tally.fail('TL026', format('Each change of %s would cost every key of %s: %s', d.source, tally.part(v), tally.reason(d.source, v.key, d.reach, d.why, d.ways, d.shape)));
        END IF;
        PERFORM tally.add_derived(v, d.source, d.columns, d.expand, d.ways, d.shape);
    END LOOP;
END
$$;

-- tally.steps_with_static: how to keep a view that reads something which cannot be watched, if that never changes.
CREATE OR REPLACE FUNCTION tally.steps_with_static(v tally.derived_view, static regclass)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT format('%sIf it never changes: SELECT tally.create_projection(%L, %L, %L); %sSELECT tally.activate(%2$L).',
        CASE c.relkind WHEN 'm' THEN 'Let the view read the tables of its query. ' ELSE 'Let the view read an ordinary table. ' END, tally.part(v), v.definition, v.key::text,
        (SELECT string_agg(format(CASE WHEN k.relkind IN ('r', 'p') THEN 'SELECT tally.watch(%L, %L); ' ELSE 'SELECT tally.assume_static(%L, %L); ' END, tally.part(v), t), '' ORDER BY t::text)
         FROM tally.tables_read(v.definition) t JOIN pg_class k ON k.oid = t))
    FROM pg_class c WHERE c.oid = static
$$;

-- tally.split_of: how a view was split, for its rollup or for the projection under that.
CREATE OR REPLACE FUNCTION tally.split_of(v tally.derived_view)
RETURNS tally.split LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT s FROM tally.split s JOIN tally.derived_view r ON r.id = s.rollup_id WHERE v.id IN (r.id, r.root_id)
$$;

-- tally.follow_split: if the query of the view that was split has changed, change <name>_rows_def accordingly. The usual steps after a change of
-- a definition do the rest.
--   Parameters v: the projection of its rows, with its advisory lock held
--   Reads      one row of pg_rewrite, and the query itself only if that row has changed
--   Writes     <name>_rows_def, tally.split
--   Raises     TL023 if the new query would be split into other columns
CREATE OR REPLACE FUNCTION tally.follow_split(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    s    tally.split := tally.split_of(v);
    d    regclass;
    made jsonb;
BEGIN
    d := (tally.view_by_id(s.rollup_id)).definition;
    IF s.rollup_id IS NULL OR s.rule = tally.rule_version(d) OR NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = d) THEN
        RETURN;
    ELSIF s.definition_digest <> md5(tally.definition_text(d)) OR tally.reads_others(v.definition, d) THEN
        IF NOT tally.is_owner(v) THEN
            PERFORM tally.fail('TL023', format('%s has another query now, and %s may not make its rows anew.', d, current_user), format('Its owner, or a superuser, has to call tally.heal(%L).', tally.part(v)));
        END IF;
        made := tally.split_parts(d);
        IF made ? 'why' OR made - 'rows' - 'key' IS DISTINCT FROM s.made_of - 'rows' - 'key'
           OR EXISTS (SELECT FROM jsonb_array_elements_text(made -> 'key') WITH ORDINALITY k(col, i)  -- another of its columns identifies a row; a renamed one has a new name
                      WHERE k.col <> s.made_of -> 'key' ->> (k.i - 1)::integer AND k.col = ANY (tally.columns_of(v.definition))) THEN
            PERFORM tally.fail('TL023', format('%s has another query now, with %s.', d, coalesce('which it cannot be kept by differences: ' || (made ->> 'why'), 'other columns or aggregates')),
                format('SELECT tally.drop(%1$L), then tally.keep(%1$L, %2$L).', format('%I.%I', v.schema_name, coalesce(s.shown, (tally.view_by_id(s.rollup_id)).relation_name)), d));
        END IF;
        EXECUTE format('CREATE OR REPLACE VIEW %s (%s) AS %s', v.definition, tally.column_list(tally.columns_of(v.definition)), made ->> 'rows');
    END IF;
    UPDATE tally.split AS x SET rule = tally.rule_version(d), definition_digest = md5(tally.definition_text(d)), made_of = coalesce(made, x.made_of) WHERE x.rollup_id = s.rollup_id;
EXCEPTION WHEN invalid_table_definition OR syntax_error OR duplicate_column THEN  -- its rows have other columns, or more or fewer of them
    PERFORM tally.fail('TL023', format('%s has another query now, whose rows have other columns (%s).', d, SQLERRM),
        format('SELECT tally.drop(%1$L), then tally.keep(%1$L, %2$L).', format('%I.%I', v.schema_name, coalesce(s.shown, (tally.view_by_id(s.rollup_id)).relation_name)), d));
END
$$;

-- tally.split_trouble: for the projection of a split view: a text if the view has another query that no merge has followed yet; NULL: it has not.
CREATE OR REPLACE FUNCTION tally.split_trouble(v tally.derived_view)
RETURNS text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT format('%s has another query now: the next merge, or tally.heal(%L), follows', r.definition, tally.part(v))
    FROM tally.split s JOIN tally.derived_view r ON r.id = s.rollup_id JOIN pg_class c ON c.oid = r.definition
    WHERE r.root_id = v.id AND s.rule <> tally.rule_version(r.definition)
      AND (s.definition_digest <> md5(tally.definition_text(r.definition)) OR tally.reads_others(v.definition, r.definition))
$$;

-- tally.compared_columns: the columns of a split view that verify compares with the view; as text if the type has no order.
CREATE OR REPLACE FUNCTION tally.compared_columns(r tally.derived_view, s tally.split)
RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
BEGIN
    RETURN (SELECT string_agg(CASE WHEN EXISTS (SELECT FROM tally.unordered_part(a.atttypid) p(type) WHERE p.type IS NOT NULL) THEN format('a.%1$I::text AS %1$I', a.attname) ELSE format('a.%I', a.attname) END, ', ' ORDER BY a.attnum)
    FROM pg_attribute a WHERE a.attrelid = r.definition AND a.attnum > 0 AND NOT a.attisdropped
      AND NOT (EXISTS (SELECT FROM tally.measures_of(r) m WHERE m.exact_float)   -- it may be computed from such a sum
               AND NOT s.made_of -> 'groups' @> to_jsonb(a.attname::text) AND (s.shown IS NOT NULL OR EXISTS (SELECT FROM tally.measures_of(r) m WHERE m.name = a.attname AND m.exact_float))));
END
$$;

-- tally.sql_verify_split: SELECT of the rows in which the stored form of a split view differs from the view; no rows while something is pending.
--   Notes      Values are compared as their types compare: of equal groups that look different (citext), either side shows any. Sums of floats are left
--              out: the view adds them in the order in which it reads rows, the rollup exactly. They are compared with the rollup's own oracle
CREATE OR REPLACE FUNCTION tally.sql_verify_split(v tally.derived_view)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT format($sql$ UNION ALL SELECT * FROM (
        SELECT %1$L::text, 'stored'::text, to_jsonb(x.*) FROM (SELECT %4$s FROM %1$s a EXCEPT ALL SELECT %4$s FROM %2$s a) x
        UNION ALL SELECT %1$L, 'oracle', to_jsonb(x.*) FROM (SELECT %4$s FROM %2$s a EXCEPT ALL SELECT %4$s FROM %1$s a) x) split_difference
        WHERE NOT EXISTS (SELECT FROM %3$s)$sql$,
        format('%I.%I', r.schema_name, coalesce(s.shown, r.relation_name)), r.definition, tally.part(v, '_delta'), tally.compared_columns(r, s))
    FROM tally.split s JOIN tally.derived_view r ON r.id = s.rollup_id WHERE r.root_id = v.id AND EXISTS (SELECT FROM pg_class c WHERE c.oid = r.definition)
$$;
