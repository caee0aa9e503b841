-- control.base_rows: the rows of the sources that a row of a projection comes from: those whose change would lead to its key.
--   Parameters view: a projection, as of tally.views; cell: the value of each key column, as a JSON object; most: rows of a source at most
--   Returns    source: its name; row: as JSON
--   Reads      every source, with its expand for each of its rows; by an index where the source's columns are the key
--   Raises     TL001, TL003; TL018 if it is no projection, or cell has other columns; 22… if a value is none of the column's type
--   Used by    the API
CREATE OR REPLACE FUNCTION control.base_rows(view text, cell jsonb, most int DEFAULT 20)
RETURNS TABLE (source text, "row" jsonb) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    v      tally.derived_view := control.declared(base_rows.view);
    s      tally.source;
    chosen text;
BEGIN
    IF v.kind <> 'projection' THEN
        PERFORM tally.fail('TL018', format('%s is a %s: only a row of a projection is followed down to its sources.', tally.part(v), v.kind));
    END IF;
    PERFORM control.require_cell(v, v.key, base_rows.cell);
    FOR s IN SELECT o.* FROM tally.source o WHERE o.projection_id = v.id AND o.columns IS NOT NULL ORDER BY o.ordinal LOOP
        IF s.expand IS NULL THEN
            chosen := format('%s r JOIN LATERAL (SELECT r.*) d ON %s', s.relation,
                (SELECT string_agg(control.equal(s.relation, c.name, base_rows.cell ->> v.key[c.n]), ' AND ') FROM unnest(s.columns) WITH ORDINALITY c(name, n) WHERE c.n <= cardinality(v.key)));
        ELSE
            chosen := format('%s r WHERE EXISTS (SELECT FROM %s(%s) d WHERE %s)', s.relation, tally.part(v, '_expand_' || s.ordinal),
                (SELECT string_agg(format('ARRAY[r.%I::%s]', c.name, tally.given_type(s.relation, c.name)), ', ' ORDER BY c.n) FROM unnest(s.columns) WITH ORDINALITY c(name, n)),
                control.equals(tally.relation_of(v), v.key, base_rows.cell));
        END IF;
        RETURN QUERY EXECUTE format('SELECT $1, to_jsonb(r) FROM %s LIMIT $2', chosen) USING tally.shown(s.relation)::text, base_rows.most;
    END LOOP;
END
$$;
COMMENT ON FUNCTION control.base_rows(text, jsonb, int) IS 'the rows of the sources that a row of a projection comes from';

-- control.last_change: which transaction wrote the stored row of a derived view last, and when.
--   Parameters view: a projection or a rollup; cell: as of control.compare_row
--   Returns    a row for each stored row: the merge's transaction; at: when it committed, NULL unless track_commit_timestamp is on
--   Raises     as control.compare_row
--   Used by    the API
CREATE OR REPLACE FUNCTION control.last_change(view text, cell jsonb)
RETURNS TABLE (transaction text, at timestamptz) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    v      tally.derived_view := control.declared(last_change.view);
    wanted name[] := CASE v.kind WHEN 'projection' THEN v.key WHEN 'rollup' THEN v.group_by END;
BEGIN
    PERFORM control.require_cell(v, wanted, last_change.cell);
    RETURN QUERY EXECUTE format('SELECT d.xmin::text, CASE WHEN current_setting(''track_commit_timestamp'')::boolean THEN pg_xact_commit_timestamp(d.xmin) END FROM %s d WHERE %s LIMIT 20',
        tally.relation_of(v), control.equals(tally.relation_of(v), wanted, last_change.cell));
END
$$;
COMMENT ON FUNCTION control.last_change(text, jsonb) IS 'which transaction wrote the stored row of a derived view last, and when';
