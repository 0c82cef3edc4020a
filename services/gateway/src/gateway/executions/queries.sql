-- name: read
SELECT execution_id, run_id, workflow_id, node_id, lead_id, connector_type, status, retry_count,
       max_retries, start_time, end_time, duration_ms, output_data, error_details, trace_id,
       created_at, updated_at
  FROM orchestrator.published_executions
 WHERE execution_id = $1 AND workspace = $2;

-- name: list
SELECT id, execution_id, run_id, workflow_id, node_id, lead_id, connector_type, status,
       retry_count, max_retries, start_time, end_time, duration_ms, output_data, error_details,
       trace_id, created_at, updated_at
  FROM orchestrator.published_executions
 WHERE workspace = $1
   AND workflow_id = $2
   AND (created_at, id) > ($3::timestamptz, $4::uuid)
   AND ($5::text IS NULL OR lead_id = $5)
   AND ($6::uuid IS NULL OR run_id = $6)
   AND ($7::text IS NULL OR status = $7)
   AND ($8::text IS NULL OR connector_type = $8)
   AND ($9::timestamptz IS NULL OR created_at >= $9)
   AND ($10::timestamptz IS NULL OR created_at < $10)
 ORDER BY created_at ASC, id ASC
 LIMIT $11;
