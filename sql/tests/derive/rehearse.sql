-- fuzz.rehearse(rows, seed, views): keeps some of the hard views by their derived watches, one after the other, rehearses each, and drops it.
--   Returns    a row per view: attempts, how many keys changed, how many were missed (should be none); refused: why it cannot be kept
--   Needs      fuzz.sql and fuzz.setup(false)
CREATE OR REPLACE FUNCTION fuzz.rehearse(rows integer, seed float8, views integer DEFAULT 1000)
RETURNS TABLE (view text, tried numeric, changed numeric, missed numeric, refused text) LANGUAGE plpgsql SET search_path = fuzz, pg_catalog SET jit = off AS $$
DECLARE
    d fuzz.definition;
    t fuzz.base;
BEGIN
    PERFORM setseed(seed);
    FOR t IN SELECT * FROM base b WHERE b.name NOT IN ('a', 'b', 'c', 'd', 'p') ORDER BY b.name LOOP
        FOR i IN 1 .. t.rows LOOP
            EXECUTE row_of(t);
        END LOOP;
    END LOOP;
    INSERT INTO a SELECT g, g % 3, g % 4, g % 2 FROM generate_series(1, 8) g ON CONFLICT DO NOTHING;
    INSERT INTO b SELECT g, g % 3, 1 + g % 8, 1 + g % 5 FROM generate_series(1, 8) g ON CONFLICT DO NOTHING;
    INSERT INTO c SELECT g, g % 5, g % 3, 1 + g % 8 FROM generate_series(1, 6) g ON CONFLICT DO NOTHING;
    INSERT INTO d SELECT g, 'n' || g % 3, ARRAY[g % 3, g % 4], jsonb_build_object('a', g % 5, 'x', g % 3), timestamp '2026-01-01' + g * interval '7 days', 1 + g % 8, g % 4 FROM generate_series(1, 6) g ON CONFLICT DO NOTHING;
    INSERT INTO p SELECT g, 1 + g % 3, g % 3, 1 + g % 8 FROM generate_series(1, 6) g ON CONFLICT DO NOTHING;
    FOR d IN SELECT * FROM definition x ORDER BY md5(x.name) LIMIT views LOOP
        view := d.name; refused := NULL; tried := NULL; changed := NULL; missed := NULL;
        BEGIN
            PERFORM tally.keep('fuzz.kept', format('fuzz.v_%s', d.name)::regclass, d.key::text[], tally.columns_of(format('fuzz.v_%s', d.name)::regclass)::text[], true);
            PERFORM tally.refresh('fuzz.kept');
            SELECT sum(r.tried), sum(r.changed), sum(r.missed) INTO tried, changed, missed FROM tally.rehearse('fuzz.kept', rows, seed, '1 minute') r;
            RAISE EXCEPTION USING ERRCODE = 'FZ001', MESSAGE = 'undo';
        EXCEPTION WHEN SQLSTATE 'FZ001' THEN NULL; WHEN OTHERS THEN refused := SQLSTATE || ' ' || SQLERRM;
        END;
        RETURN NEXT;
    END LOOP;
END
$$;
