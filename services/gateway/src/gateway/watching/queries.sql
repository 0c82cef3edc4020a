-- name: look
-- The state of everything that somebody watches. A run's revision grows with each of its writes.
SELECT 'run' AS kind, run_id::text AS id, status, revision
  FROM orchestrator.published_runs
 WHERE run_id = ANY ($1::uuid[])
UNION ALL
SELECT 'execution', execution_id, status, 0
  FROM orchestrator.published_executions
 WHERE execution_id = ANY ($2::text[]);

-- name: find_changes
-- Runs of some workspaces that changed lately, the latest first.
SELECT workspace, run_id, workflow_id, version, lead_id, status, revision, error, created_at,
       updated_at, ended_at
  FROM orchestrator.published_runs
 WHERE workspace = ANY ($1::text[]) AND updated_at > now() - $2::interval
 ORDER BY updated_at DESC
 LIMIT $3;

-- name: find_changes_since
-- A workspace's runs that changed after a moment, the latest first.
SELECT workspace, run_id, workflow_id, version, lead_id, status, revision, error, created_at,
       updated_at, ended_at
  FROM orchestrator.published_runs
 WHERE workspace = $1 AND updated_at > $2
 ORDER BY updated_at DESC
 LIMIT $3;
