-- Which runs were at work at a moment, among a million runs.
CREATE INDEX run_finished ON control.run (finished_at);
