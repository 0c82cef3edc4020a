-- Run as the role `orchestrator`, in its schema.

-- Executions go with their run, long after its end. Runs are found by their ids, which begin with a time.
GRANT DELETE ON execution_logs TO mirsal_orchestrator;
