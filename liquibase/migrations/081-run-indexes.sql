-- Runs of one view, and what its last verification found, among a million runs.
CREATE INDEX run_view ON control.run (view, id);
CREATE INDEX run_verified ON control.run (view, id) WHERE action = 'verify' AND state = 'done';
