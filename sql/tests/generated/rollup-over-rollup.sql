-- Quoted names, several rows a key, and a rollup over a rollup.
CREATE SCHEMA "My App";
CREATE TABLE "My App"."Order line" ("Order" int, "No." int, "Class" text, "Price %" numeric(10,2), PRIMARY KEY ("Order", "No."));
CREATE VIEW "My App"."lines def" AS SELECT "Order", "No.", "Class", "Price %" FROM "My App"."Order line";
SELECT tally.create_projection('"My App"."Lines"', '"My App"."lines def"', '{Order}', identity => '{No.}');
SELECT tally.watch('"My App"."Lines"', '"My App"."Order line"', '{Order}');
SELECT tally.create_rollup('"My App"."By class"', '"My App"."Lines"', '{Class}', '{"Sum %":"sum(\"Price %\")","n":"count(*)"}');
SELECT tally.create_rollup('"My App"."By size"', '"My App"."By class"', '{n}', '{"classes":"count(*)","top":"max(\"Sum %\")"}');
SELECT tally.activate('"My App"."Lines"');
