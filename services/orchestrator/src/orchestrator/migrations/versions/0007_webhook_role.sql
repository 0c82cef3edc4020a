-- Run as the role `orchestrator`, in its schema. `webhook_worker` is what the webhook worker's release
-- before acts as.

SELECT have_role('mirsal_webhook_worker');
GRANT USAGE ON SCHEMA orchestrator TO mirsal_webhook_worker;
GRANT SELECT ON published_runs TO mirsal_webhook_worker;
GRANT SELECT (id, workspace, workflow_id, version, lead_id, status, revision, error, traceparent,
              created_at, updated_at, ended_at)
   ON runs TO mirsal_webhook_worker;
SELECT open_to('runs', 'mirsal_webhook_worker');
