-- The statement that makes an empty database; a name cannot be a parameter of the statement itself.
SELECT format('CREATE DATABASE %I TEMPLATE template0', $1::text)
