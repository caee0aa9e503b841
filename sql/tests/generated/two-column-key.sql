-- A key of two columns over a partitioned source, an expand, and every kind of measure.
CREATE SCHEMA app;
CREATE TABLE app.sensor (id int PRIMARY KEY, room text, at_work boolean);
CREATE TABLE app.reading (sensor int, day date, nth int, heat numeric, volts float8, span interval, PRIMARY KEY (sensor, day, nth)) PARTITION BY RANGE (day);
CREATE TABLE app.reading_rest PARTITION OF app.reading DEFAULT;
CREATE VIEW app.day_fact_def AS
SELECT r.sensor, r.day, s.room, s.at_work, count(*) AS readings, max(r.heat) AS heat, max(r.volts) AS volts, max(r.span) AS span
FROM app.reading r JOIN app.sensor s ON s.id = r.sensor GROUP BY r.sensor, r.day, s.room, s.at_work;
SELECT tally.create_projection('app.day_fact', 'app.day_fact_def', '{sensor,day}');
SELECT tally.watch('app.day_fact', 'app.reading', '{sensor,day}');
SELECT tally.watch('app.day_fact', 'app.sensor', '{id}', expand => 'SELECT DISTINCT r.sensor, r.day FROM app.reading r JOIN changed c ON c.id = r.sensor');
SELECT tally.create_rollup('app.room_days', 'app.day_fact', '{room}',
    '{"days":"count(*)","filled":"count(heat)","s":"sum(heat)","a":"avg(heat)","v":"sum(volts)","t":"sum(span)","lo":"min(heat)","hi":"max(heat)","d":"count(distinct day)","any":"bool_or(at_work)","all":"bool_and(at_work)"}',
    filter => 'readings > 1');
SELECT tally.activate('app.day_fact');
