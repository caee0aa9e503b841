-- A page of runs by any filter, among a million runs: control.runs reads each state by its time, of one view or of all.
CREATE INDEX run_state ON control.run (state, requested_at, id);
CREATE INDEX run_view_state ON control.run (view, state, requested_at, id);
DROP INDEX control.run_requested;
-- What was verified and mended of a view: control.last_verified and control.trust.
CREATE INDEX run_checked ON control.run (view, id) WHERE state = 'done' AND action IN ('verify', 'repair', 'rebuild');
DROP INDEX control.run_verified;
DROP INDEX control.run_view;
