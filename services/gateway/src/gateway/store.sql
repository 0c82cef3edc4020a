-- Whose rows a session sees: the settings that the tables' policies ask for.

-- name: set_scope
SELECT set_config('mirsal.workspace', $1, false), set_config('mirsal.everywhere', $2, false);
