-- tally.error_catalogue: every SQLSTATE that the engine raises, in one place.
--   Returns   code, the condition's name, and the hint that goes with it
CREATE OR REPLACE FUNCTION tally.error_catalogue()
RETURNS TABLE (code text, condition text, hint text)
LANGUAGE sql IMMUTABLE AS $$
    VALUES
    ('TL001', 'unknown_view',          'SELECT name FROM tally.status lists the derived views.'),
    ('TL002', 'name_taken',            'Choose another name, or drop what has it; tally.drop removes a derived view.'),
    ('TL003', 'bad_name',              'Write the name as schema.name; 40 bytes at most for the name, since the engine adds suffixes.'),
    ('TL004', 'wrong_kind',            'tally.status shows the kind of each derived view.'),
    ('TL005', 'wrong_state',           'tally.status shows the state; tally.activate starts a projection, tally.resume a paused one.'),
    ('TL006', 'unknown_column',        'Check the spelling against \d of the relation; names are taken as they are, without quotes.'),
    ('TL007', 'source_not_watched',    'Call tally.watch for each of these tables, or tally.assume_static for one that never changes.'),
    ('TL008', 'unstable_definition',   'Compute it in a trigger or a column instead; a function that is known to be harmless is let through by tally.allow_function.'),
    ('TL009', 'unsupported_measure',   'Supported: count(*), count(col), sum(col), avg(col), min(col), max(col), count(distinct col), bool_or(col), bool_and(col). For anything else create a projection keyed by the group.'),
    ('TL010', 'bad_expand',            'expand is a query over the relation "changed" (the watched columns) that returns the key columns, in their order.'),
    ('TL011', 'own_transaction',       'Commit first, then wait for the token.'),
    ('TL012', 'wait_timeout',          'tally.status shows lag and error of the view; see that a scheduler calls tally.merge, or allow more time.'),
    ('TL013', 'needs_read_committed',  'Call it in a READ COMMITTED transaction: under a fixed snapshot nothing new can be seen.'),
    ('TL014', 'unique_index_missing',  'Create a unique index on plain columns, without WHERE, on the materialized view.'),
    ('TL015', 'source_busy',           'Try again when what holds the table has ended, or raise lock_timeout: so long it is tried.'),
    ('TL016', 'unsupported_source',    'Watch an ordinary or partitioned table; vouch for anything else with tally.assume_static.'),
    ('TL017', 'in_use',                'Drop what is built on it first.'),
    ('TL018', 'bad_argument',          'See the function''s comment: \df+ tally.*'),
    ('TL019', 'not_unique',            'Name every column that makes a row unique as identity of tally.create_projection, or let the definition return one row for each.'),
    ('TL020', 'replacement_differs',   'If this stays, an expand does not reach every key: correct it, or give the redefinition up by tally.drop of <name>_next.'),
    ('TL021', 'schedule_changed',      'Read the schedule again, in tally.status or by GET /api/views/{name}, and give its version with the change.'),
    ('TL022', 'lost',                  'SELECT tally.drop(name) removes what is left; then declare it again.'),
    ('TL023', 'definition_changed',    'SELECT tally.heal(name) takes the definition as it is now; if its columns are others, SELECT tally.redefine(name, definition).'),
    ('TL024', 'unsupported_type',      'Give the definition a column of another type in its place: its text, say.'),
    ('TL025', 'trigger_failed',        'Mend the trigger, or drop it. The merge is tried again by itself.'),
    ('TL026', 'every_key',             'Write the view so that its rows can be followed (tally.explain says how), or keep it all the same with allow_every_key => true.'),
    ('TL027', 'not_superuser',         'A superuser has to call it.'),
    ('TL028', 'not_split',             'tally.keep(name, definition) keeps it by group: each change evaluates its whole group.')
$$;
COMMENT ON FUNCTION tally.error_catalogue() IS 'every SQLSTATE the engine raises, with the hint that goes with it';

-- tally.fail: raise an error of the catalogue, with the catalogue's hint.
--   Parameters code (TLnnn), message: a full sentence with the value
CREATE OR REPLACE FUNCTION tally.fail(code text, message text)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = code, MESSAGE = message,
        HINT = (SELECT c.hint FROM tally.error_catalogue() c WHERE c.code = fail.code);
END
$$;

-- tally.fail: the same, with a hint for this one case instead of the catalogue's.
CREATE OR REPLACE FUNCTION tally.fail(code text, message text, hint text)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = code, MESSAGE = message, HINT = hint;
END
$$;
