-- name: find_execution
SELECT log.run_id, log.workflow_id, log.node_id, log.attempt, log.status, log.execution_id,
       EXISTS (SELECT FROM orchestrator.published_executions AS other
                WHERE other.run_id = log.run_id AND other.status = 'failed') AS is_failing
  FROM orchestrator.published_executions AS log
 WHERE log.execution_id = $1 AND log.workspace = $2;
