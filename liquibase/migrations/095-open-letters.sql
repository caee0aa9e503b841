-- Dead letters that wait, among those that were replayed: a page of them, and how many there are for each reason.
CREATE INDEX dead_letter_open ON results.dead_letter (id) WHERE replayed_at IS NULL;
CREATE INDEX dead_letter_reason ON results.dead_letter (sqlstate, id) WHERE replayed_at IS NULL;
