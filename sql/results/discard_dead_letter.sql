-- results.discard_dead_letter: delete a dead letter that nobody wants to be applied any more.
--   Parameters id
--   Writes     results.dead_letter
--   Raises     RS030
CREATE OR REPLACE FUNCTION results.discard_dead_letter(id bigint)
RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    DELETE FROM results.dead_letter l WHERE l.id = discard_dead_letter.id;
    IF NOT FOUND THEN
        PERFORM results.fail('RS030', format('There is no dead letter %s.', discard_dead_letter.id));
    END IF;
END
$$;
COMMENT ON FUNCTION results.discard_dead_letter(bigint) IS 'delete a dead letter';
