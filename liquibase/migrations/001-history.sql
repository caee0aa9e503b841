-- Liquibase's own table has no primary key, and is updated whenever a file is run again: under a publication FOR ALL TABLES that asks for an
-- identity of its rows. The first change of all, so that no other one fails before it.
ALTER TABLE countersink_changelog REPLICA IDENTITY FULL;
