-- name: find_starts
-- What starts need: one row for each lead asked for, with the workflow's newest version.
SELECT asked.n, workflow.version, workflow.is_active, lead.lead_id, lead.name, lead.email,
       lead.phone, lead.locale, lead.time_zone, lead.tags, lead.fields, lead.consent,
       lead.key_id, lead.sealed
  FROM unnest($1::integer[], $2::text[], $3::text[], $4::text[])
       AS asked (n, workspace, workflow_id, lead_id)
  LEFT JOIN workflow_definitions AS workflow USING (workspace, workflow_id)
  LEFT JOIN leads AS lead USING (workspace, lead_id);

-- name: claim_keys
-- The first call with a key writes its row, every later one gets that row back. Sorted, so that
-- two gateways cannot wait for each other.
INSERT INTO idempotency_keys AS old (workspace, route, key, body_hash, id)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::uuid[])
 ORDER BY 1, 2, 3
ON CONFLICT (workspace, route, key) DO UPDATE SET issued_at = now()
RETURNING workspace, route, key, body_hash, id;

-- name: find_claim
SELECT id, body_hash FROM idempotency_keys WHERE workspace = $1 AND route = $2 AND key = $3;

-- name: was_handed_out
-- Whether a call with a key got an id of this moment again lately.
SELECT FROM idempotency_keys
 WHERE workspace = $1 AND id BETWEEN $2 AND $3 AND issued_at > now() - $4::interval
 LIMIT 1;

-- name: forget_keys
DELETE FROM idempotency_keys
 WHERE ctid = ANY (ARRAY(
           SELECT ctid FROM idempotency_keys WHERE issued_at < now() - $1::interval LIMIT $2))
RETURNING 1;

-- name: count_under_way
-- How many runs of each workspace are under way, and of which revision the given ones are, as of
-- one moment.
SELECT NULL::uuid AS run_id, workspace, count(*)::integer AS number
  FROM orchestrator.published_runs_under_way
 GROUP BY workspace
 UNION ALL
SELECT run_id, workspace, revision
  FROM orchestrator.published_runs
 WHERE run_id = ANY ($1::uuid[]);

-- name: read_run
SELECT run.run_id, run.workflow_id, run.version, run.lead_id, run.status, run.error,
       run.revision, run.trace_id, run.created_at, run.updated_at, run.ended_at,
       run.requested_by,
       log.execution_id AS log_execution_id, log.node_id AS log_node_id,
       log.connector_type AS log_connector_type, log.status AS log_status,
       log.retry_count AS log_retry_count, log.max_retries AS log_max_retries,
       log.start_time AS log_start_time, log.end_time AS log_end_time,
       log.duration_ms AS log_duration_ms, log.output_data AS log_output_data,
       log.error_details AS log_error_details, log.trace_id AS log_trace_id,
       log.created_at AS log_created_at, log.updated_at AS log_updated_at
  FROM orchestrator.published_runs AS run
  LEFT JOIN orchestrator.published_executions AS log USING (run_id)
 WHERE run.run_id = $1 AND run.workspace = $2
 ORDER BY log.created_at, log.id;
