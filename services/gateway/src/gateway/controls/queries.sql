-- name: find_execution
SELECT run.run_id, run.error IS NOT NULL AS is_failing, log.node_id, log.attempt, log.status,
       log.execution_id
  FROM orchestrator.published_executions AS log
  JOIN orchestrator.published_runs AS run USING (run_id)
 WHERE log.execution_id = $1 AND log.workspace = $2;
