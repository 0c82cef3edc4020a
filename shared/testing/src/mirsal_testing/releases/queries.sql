-- Statements of mirsal_testing.releases.

-- name: read_stored_runs
SELECT request::text AS request, state::text AS state
  FROM orchestrator.runs
 ORDER BY id;
