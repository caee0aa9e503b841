-- tally.node_tree: the analysed tree that PostgreSQL stores for a query (pg_rewrite.ev_action), as jsonb.
--   Parameters tree: its text, which any role may read
--   Returns    {"_":"QUERY","rtable":[[…]],…}: every field holds an array of its contents; NULL for <>
--   Notes      A token ends at white space or a bracket that has no backslash before it; quotes do not end it. A value may begin with a
--              colon, like the name of a field. It is a value if the name of a field stands before it.
--   Called by  tally.view_tree
CREATE OR REPLACE FUNCTION tally.node_tree(tree text)
RETURNS jsonb LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    lean   text := tally.lean_tree(tree);
    token  text;
    before "char" := 'o';   -- the token before: o: an open list, b: {, n: a node's name, f: a field's name, i: an item
    datum  boolean := false;
    pieces text[] := '{}';
BEGIN
    FOR token IN SELECT m[1] FROM regexp_matches(lean, '([(){}]|(?:\\.|[^ \n\t(){}\\])+)', 'g') AS m LOOP
        IF before = 'b' THEN
            pieces := pieces || to_json(token)::text;
            before := 'n';
        ELSIF token = '{' THEN
            pieces := pieces || (CASE before WHEN 'i' THEN ',{"_":' ELSE '{"_":' END);
            before := 'b';
        ELSIF token = '}' THEN
            pieces := pieces || (CASE before WHEN 'n' THEN '}' ELSE ']}' END);
            before := 'i';
        ELSIF token = '(' OR token = '[' AND before = 'i' THEN
            datum := token = '[';
            pieces := pieces || (CASE before WHEN 'i' THEN ',[' ELSE '[' END);
            before := 'o';
        ELSIF token = ')' OR token = ']' AND datum THEN
            datum := false;
            pieces := pieces || ']'::text;
            before := 'i';
        ELSIF starts_with(token, ':') AND before <> 'f' THEN
            pieces := pieces || ((CASE before WHEN 'n' THEN ',' ELSE '],' END) || to_json(substr(token, 2))::text || ':[');
            before := 'f';
        ELSE
            pieces := pieces || ((CASE before WHEN 'i' THEN ',' ELSE '' END) || tally.node_scalar(token));
            before := 'i';
        END IF;
    END LOOP;
    RETURN array_to_string(pieces, '')::jsonb;
END
$$;

-- tally.lean_tree: a tree's text without the parts that the derivation never reads, which are most of it: positions in the source text, usual collations,
-- rights, names of columns, and those columns of a join that it only passes on (no reference to such a column names the join).
CREATE OR REPLACE FUNCTION tally.lean_tree(tree text)
RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(tree,
        ' :joinaliasvars \((?:\{VAR [^{}]*\} ?)+\)', '', 'g'),
        ' :eref \{ALIAS [^{}]*\}(?= :rtekind [^3])', '', 'g'),
        ' :rteperminfos \((?:\{RTEPERMISSIONINFO [^{}]*\} ?)+\)', '', 'g'),
        ' :(?:location|list_start|list_end|stmt_location|stmt_len|constlen|opretset|aggtransno|aggno|inFromCl|lateral|varnosyn|varattnosyn|vartypmod|varreturningtype|consttypmod|constcollid'
        || '|resulttypmod|resorigtbl|resorigcol|resjunk|relkind|rellockmode|perminfoindex|inh|requiredPerms|checkAsUser|security_barrier|rtindex_|joinmergedcols|aggkind|aggtranstype|aggcollid'
        || '|(?:joinleftcols|joinrightcols|selectedCols|insertedCols|updatedCols|extraUpdatedCols|varnullingrels) \([bi][ 0-9]*\)|(?:aggargtypes) \(o[ 0-9]*\))(?: (?:-?\d+|true|false))?(?= )', '', 'g'),
        ' :(?:varcollid|opcollid|funccollid|inputcollid|resultcollid) (?:0|100)(?= )', '', 'g')
$$;

-- tally.node_scalar: a token that is a value, as JSON.
CREATE OR REPLACE FUNCTION tally.node_scalar(token text)
RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN (
        SELECT CASE WHEN token = '<>' THEN 'null'
                    ELSE to_json(CASE WHEN strpos(bare, E'\\') > 0 THEN regexp_replace(bare, '\\(.)', '\1', 'g') ELSE bare END)::text END
        FROM (SELECT CASE WHEN length(token) > 1 AND starts_with(token, '"') AND right(token, 1) = '"' THEN substr(token, 2, length(token) - 2) ELSE token END) AS t(bare));
END
$$;

-- tally.view_tree: the tree of a view's query.
CREATE OR REPLACE FUNCTION tally.view_tree(definition oid)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT tally.node_tree(r.ev_action::text) -> 0 FROM pg_rewrite r WHERE r.ev_class = definition AND r.rulename = '_RETURN');
END
$$;

-- tally.node: the only item of a node's field, or the first one.
CREATE OR REPLACE FUNCTION tally.node(n jsonb, field text)
RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT nullif(n -> field -> 0, ''null'')';

-- tally.node_items: the nodes of a list in a field of a node, in order.
CREATE OR REPLACE FUNCTION tally.node_items(n jsonb, field text)
RETURNS TABLE (item jsonb, i bigint) LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT e, i FROM jsonb_array_elements(CASE jsonb_typeof(n -> field -> 0) WHEN 'array' THEN n -> field -> 0 ELSE '[]' END) WITH ORDINALITY AS u(e, i)
$$;
