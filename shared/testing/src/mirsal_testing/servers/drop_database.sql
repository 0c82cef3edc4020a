-- The statement that removes a database with whatever sessions it still has.
SELECT format('DROP DATABASE IF EXISTS %I WITH (FORCE)', $1::text)
