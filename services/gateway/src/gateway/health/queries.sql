-- name: read_totals
-- Over all workspaces: the metrics' labels do not name one.
SELECT workflow_id, connector_type, status, bucket, sum(executions)::bigint AS executions,
       sum(duration_seconds)::double precision AS duration_seconds
  FROM orchestrator.published_totals
 GROUP BY workflow_id, connector_type, status, bucket;
