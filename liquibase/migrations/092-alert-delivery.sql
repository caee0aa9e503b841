-- While an instance tells the webhook of an alert, nobody else tells of it, nor of its end.
ALTER TABLE control.alert ADD COLUMN taken_until timestamptz;
COMMENT ON COLUMN control.alert.taken_until IS 'until then an instance is telling the webhook of it; null: none is';
