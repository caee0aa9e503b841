-- control.compare_row: one row of a derived view as it is stored, live and by its definition; and of a rollup the rows that it is made of.
--   Parameters view: a name as of tally.views; cell: the value of each key column, or of each column that a rollup groups by, as a JSON
--              object; most: rows below at most
--   Returns    form: stored, live, oracle (the definition), or below (rows of what the rollup adds up, as stored); row: as JSON. A form
--              without such a row is left out
--   Reads      the view's relations, all in one snapshot; of a rollup also those of its source
--   Raises     TL001, TL003; TL018 if cell has other columns, or for a snapshot; 22… if a value is none of the column's type
--   Used by    the API
CREATE OR REPLACE FUNCTION control.compare_row(view text, cell jsonb, most int DEFAULT 100)
RETURNS TABLE (form text, "row" jsonb) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    v       tally.derived_view := control.declared(compare_row.view);
    below   tally.derived_view;
    wanted  name[] := CASE v.kind WHEN 'projection' THEN v.key WHEN 'rollup' THEN v.group_by END;
    stored  regclass := tally.relation_of(v);
    is_cell text;
BEGIN
    PERFORM control.require_cell(v, wanted, compare_row.cell);
    is_cell := control.equals(stored, wanted, compare_row.cell);
    RETURN QUERY EXECUTE format('SELECT f.form, to_jsonb(d) FROM (VALUES (''stored'')) f(form), %s d WHERE %s LIMIT $1', stored, is_cell) USING compare_row.most;
    RETURN QUERY EXECUTE format('SELECT f.form, to_jsonb(d) FROM (VALUES (''live'')) f(form), %s d WHERE %s LIMIT $1', tally.relation_of(v, '_live'), is_cell) USING compare_row.most;
    RETURN QUERY EXECUTE format('SELECT f.form, to_jsonb(d) FROM (VALUES (''oracle'')) f(form), %s d WHERE %s LIMIT $1',
        CASE v.kind WHEN 'rollup' THEN tally.relation_of(v, '_def') ELSE tally.definition_of(v) END, is_cell) USING compare_row.most;
    IF v.kind = 'rollup' THEN
        SELECT * INTO below FROM tally.derived_view d WHERE d.id = v.source_id;
        RETURN QUERY EXECUTE format('SELECT f.form, to_jsonb(d) FROM (VALUES (''below'')) f(form), %s d WHERE %s AND (%s) LIMIT $1',
            tally.relation_of(below), control.equals(tally.relation_of(below), wanted, compare_row.cell), coalesce(v.filter, 'true')) USING compare_row.most;
    END IF;
END
$$;
COMMENT ON FUNCTION control.compare_row(text, jsonb, int) IS 'one row of a derived view as it is stored, live and by its definition, and the rows that it is made of';

-- control.declared: the row of the catalog of a derived view.
--   Raises     TL001, TL003
CREATE OR REPLACE FUNCTION control.declared(view text)
RETURNS tally.derived_view LANGUAGE plpgsql STABLE AS $$
DECLARE
    called text := (SELECT s.name FROM tally.views(declared.view) s);
    found_ tally.derived_view;
BEGIN
    SELECT d.* INTO found_ FROM tally.derived_view d WHERE tally.name_of(d.schema_name, d.relation_name) = called;
    RETURN found_;
END
$$;

-- control.equal: a condition on a column of a relation, as SQL: that it has the value of which this is the text. An index can be used for it.
CREATE OR REPLACE FUNCTION control.equal(relation regclass, col name, value text)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN $3 IS NULL THEN format('d.%I IS NULL', $2) ELSE format('d.%I = %L::%s', $2, $3, format_type(a.atttypid, a.atttypmod)) END
    FROM pg_attribute a WHERE a.attrelid = $1 AND a.attname = $2
$$;

-- control.equals: a condition on a relation's columns, as SQL: that they have the values of a JSON object. An index can be used for it.
CREATE OR REPLACE FUNCTION control.equals(relation regclass, columns name[], cell jsonb)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce(string_agg(control.equal($1, c.name, $3 ->> c.name), ' AND '), 'true') FROM unnest($2) c(name)
$$;

-- control.require_cell: raise unless a JSON object names the columns by which a row of a derived view is found, and no others.
--   Raises     TL018
CREATE OR REPLACE FUNCTION control.require_cell(v tally.derived_view, wanted name[], cell jsonb)
RETURNS void LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF wanted IS NULL THEN
        PERFORM tally.fail('TL018', format('%s is a %s, whose rows have no key.', tally.part(v), v.kind));
    ELSIF jsonb_typeof(cell) IS DISTINCT FROM 'object'
          OR ARRAY(SELECT k FROM jsonb_object_keys(cell) k ORDER BY k) IS DISTINCT FROM ARRAY(SELECT w::text FROM unnest(wanted) w ORDER BY w::text) THEN
        PERFORM tally.fail('TL018', format('A row of %s is named by an object with the columns %s, not by %s.', tally.part(v), coalesce(nullif(array_to_string(wanted, ', '), ''), '(none)'), cell));
    END IF;
END
$$;
