-- tally.relation_given: the relation that a caller named in a call. Functions with a regclass argument have a second form with text, which calls this: a
-- literal means that form, and so a name that leads nowhere is told by the engine.
--   Parameters name: as one writes it in a query, or an OID; path: the caller's search_path
--   Returns    NULL for NULL
--   Raises     TL001, TL003; TL018 if its schema is closed to the caller
CREATE OR REPLACE FUNCTION tally.relation_given(name text, path text)
RETURNS regclass LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    relation regclass;
BEGIN
    IF name IS NULL THEN
        RETURN NULL;
    ELSIF name ~ '^\d+$' THEN
        relation := (SELECT c.oid FROM pg_class c WHERE c.oid::text = name);
    ELSE
        relation := tally.relation_named(name, path);
    END IF;
    IF relation IS NULL THEN
        PERFORM tally.fail('TL001', format('There is no table or view "%s".', name), 'Check the spelling; a name without a schema is looked for along search_path.');
    END IF;
    PERFORM tally.require_schema(relation);
    RETURN relation;
END
$$;

-- tally.require_schema: raise TL018 if the caller may not use the schema of a relation.
CREATE OR REPLACE FUNCTION tally.require_schema(relation regclass)
RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    schema name := (SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = relation AND NOT has_schema_privilege(n.oid, 'USAGE'));
BEGIN
    IF schema IS NOT NULL THEN
        PERFORM tally.fail('TL018', format('%I may not use schema %I, in which %s is.', current_user, schema, relation), format('GRANT USAGE ON SCHEMA %I TO %I, or let another role do it.', schema, current_user));
    END IF;
END
$$;

-- tally.function_given: the function that a caller named, with the types of its arguments; as tally.relation_given.
CREATE OR REPLACE FUNCTION tally.function_given(signature text, path text)
RETURNS regprocedure LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    function regprocedure;
BEGIN
    IF signature IS NULL THEN
        RETURN NULL;
    END IF;
    PERFORM set_config('search_path', path, true);
    function := CASE WHEN signature OPERATOR(pg_catalog.~) '^\d+$' THEN (SELECT p.oid FROM pg_catalog.pg_proc p WHERE p.oid::pg_catalog.text OPERATOR(pg_catalog.=) signature) ELSE pg_catalog.to_regprocedure(signature) END;
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    IF function IS NULL THEN
        PERFORM tally.fail('TL001', format('There is no function "%s".', signature), 'Give its name and the types of its arguments: ''app.rate(integer)'', say.');
    END IF;
    RETURN function;
EXCEPTION
    WHEN insufficient_privilege THEN
        PERFORM tally.fail('TL018', pg_catalog.concat(current_user, ' may not see function "', signature, '": ', SQLERRM, '.'), pg_catalog.concat('GRANT USAGE ON its schema TO ', current_user, ', or let another role do it.'));
        RETURN NULL;
    WHEN invalid_parameter_value OR invalid_text_representation OR syntax_error OR invalid_name OR feature_not_supported OR undefined_object OR undefined_function OR invalid_schema_name THEN
        PERFORM tally.fail('TL003', pg_catalog.concat('"', signature, '" is not the name of a function with the types of its arguments.'), 'Write it as ''app.rate(integer)'', say.');
        RETURN NULL;
END
$$;

-- tally.fail_denied: raise TL018 in place of PostgreSQL's error for a right that the caller lacks.
--   Parameters name: of the derived view that the call was about; message: PostgreSQL's
CREATE OR REPLACE FUNCTION tally.fail_denied(name text, message text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    v      tally.derived_view;
    owners text;
BEGIN
    BEGIN
        v := tally.lookup(name);
    EXCEPTION WHEN SQLSTATE 'TL001' OR SQLSTATE 'TL003' THEN
        NULL;  -- it is not declared yet
    END;
    SELECT string_agg(DISTINCT quote_ident(pg_get_userbyid(c.relowner)), ' and ') INTO owners FROM pg_class c
    WHERE NOT pg_has_role(c.relowner, 'USAGE') AND c.oid IN (
        SELECT m.relation FROM tally.made_now m JOIN tally.derived_view d ON d.id = m.view_id WHERE coalesce(v.root_id, v.id) IN (d.id, d.root_id)
        UNION SELECT s.relation FROM tally.source s WHERE s.projection_id = coalesce(v.root_id, v.id) AND s.columns IS NOT NULL);
    IF owners IS NULL AND NOT has_schema_privilege((SELECT c.relowner FROM pg_class c WHERE c.oid = tally.relation_of(v)), 'tally', 'USAGE') THEN  -- what was made runs with his rights
        SELECT c.relowner::regrole::text INTO owners FROM pg_class c WHERE c.oid = tally.relation_of(v);
        PERFORM tally.fail('TL018', format('%s, to whom %s belongs, lacks a right for this call: %s.', owners, tally.part(v), message),
            format('GRANT countersink_owner TO %s; or give the table to a role that has it: ALTER TABLE %s OWNER TO …', owners, tally.part(v)));
    END IF;
    PERFORM tally.fail('TL018', format('%I lacks a right for this call about %s: %s.', current_user, CASE WHEN v.id IS NULL THEN name ELSE tally.part(v) END, message),
        CASE WHEN owners IS NULL THEN format('Let a role with that right call it, or grant the right to %I.', current_user)
             ELSE format('What it needs belongs to %s. Let a role call it that has the rights of %1$s, or grant them to %2$I.', owners, current_user) END);
END
$$;
