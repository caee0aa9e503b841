-- results.error_catalogue: every SQLSTATE that this schema raises or stores in a dead letter, in one place.
--   Returns   code, the condition's name, and the hint that goes with it
CREATE OR REPLACE FUNCTION results.error_catalogue()
RETURNS TABLE (code text, condition text, hint text)
LANGUAGE sql IMMUTABLE AS $$
    VALUES
    ('RS001', 'unknown_job',        'Publish to results.<job_id> of a row of results.job, then replay the dead letter.'),
    ('RS002', 'unknown_pipeline',   'Add the pipeline to results.pipeline with this slug, then replay the dead letter.'),
    ('RS003', 'unknown_algorithm',  'Add the algorithm to results.algorithm with this key, then replay the dead letter.'),
    ('RS004', 'unknown_capture',    'Load the capture into results.capture, then replay the dead letter.'),
    ('RS005', 'foreign_capture',    'Send the message under a job of the capture''s project.'),
    ('RS006', 'ambiguous_finder',   'Give the pipeline exactly one algorithm with task type detection, localization or segmentation.'),
    ('RS007', 'lost_detection',     'Sequences are moved by themselves; look for triggers on results.detection that return NULL.'),
    ('RS010', 'undecodable',        'Correct the message and publish it again.'),
    ('RS011', 'empty_scores',       'Give every classification at least one score.'),
    ('RS012', 'too_large',          'Send less in one message, or raise the setting that the reason names; then replay the dead letter.'),
    ('RS013', 'no_outcome',         'See the log for how the program ended; give it more memory, or correct the message and publish it again.'),
    ('RS014', 'unknown_object',     'Put the object into the bucket, then replay the dead letter.'),
    ('RS020', 'taxon_cycle',        'Choose a parent that is not the taxon itself and not below it.'),
    ('RS030', 'unknown_dead_letter', 'SELECT id FROM results.dead_letters(0) lists the dead letters.')
$$;
COMMENT ON FUNCTION results.error_catalogue() IS 'every SQLSTATE of schema results, with the hint that goes with it';

-- results.fail: raise an error of the catalogue.
--   Parameters code (RSnnn), message: a full sentence with the value
CREATE OR REPLACE FUNCTION results.fail(code text, message text)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = code, MESSAGE = message,
        HINT = (SELECT c.hint FROM results.error_catalogue() c WHERE c.code = fail.code);
END
$$;
