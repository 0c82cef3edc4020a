-- name: count_ended
SELECT count(*)
  FROM orchestrator.published_runs
 WHERE workflow_id = $1 AND status = 'succeeded' AND created_at >= to_timestamp($2::float8);

-- name: read_ended
SELECT run_id::text AS run_id, extract(epoch FROM ended_at)::float8 AS ended_at
  FROM orchestrator.published_runs
 WHERE workflow_id = $1 AND status = 'succeeded' AND created_at >= to_timestamp($2::float8);
