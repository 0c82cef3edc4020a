-- name: count_ended
SELECT count(*)
  FROM orchestrator.published_runs
 WHERE workflow_id = $1
   AND status IN ('succeeded', 'failed', 'cancelled', 'unconfirmed', 'paused');

-- name: read_runs
SELECT run_id::text AS run_id, status, error, trace_id
  FROM orchestrator.published_runs
 WHERE workflow_id = $1;

-- name: read_executions
SELECT run_id::text AS run_id, execution_id, node_id, connector_type, status, attempt,
       retry_count, start_time, end_time, error_details, created_at, updated_at
  FROM orchestrator.published_executions
 WHERE workflow_id = $1
 ORDER BY created_at;

-- name: count_open_mails
-- Claims without an outcome of the process that has this instance's name now.
SELECT count(*)
  FROM email_worker.ledger
 WHERE state = 'open'
   AND holder = (SELECT holder FROM email_worker.ledger_holders
                  WHERE instance = $1 ORDER BY beaten_at DESC LIMIT 1);

-- name: count_open_chats
SELECT count(*)
  FROM whatsapp_worker.ledger
 WHERE state = 'open'
   AND holder = (SELECT holder FROM whatsapp_worker.ledger_holders
                  WHERE instance = $1 ORDER BY beaten_at DESC LIMIT 1);

-- name: count_open_deliveries
SELECT count(*)
  FROM webhook_worker.deliveries
 WHERE leased_until > now() AND state = 'pending';
