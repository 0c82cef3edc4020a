-- Run as the role `orchestrator`, in its schema.

-- Who started a run is a member of its request. Whoever may read this column need not be let read the
-- request, where the lead is; and being virtual it costs no write, and no rewrite of the table.
ALTER TABLE runs
  ADD COLUMN requested_by json GENERATED ALWAYS AS (request -> 'requestedBy') VIRTUAL;
COMMENT ON COLUMN runs.requested_by IS 'Who started it: kind, id, name; NULL where not noted.';

-- A view needs the right to each of its columns, whichever are asked for.
GRANT SELECT (requested_by)
   ON runs TO mirsal_gateway, gateway, mirsal_webhook_worker, webhook_worker;

CREATE OR REPLACE VIEW published_runs WITH (security_invoker = true) AS
SELECT id AS run_id, workspace, workflow_id, version, lead_id, status, revision, error,
       substr(traceparent, 4, 32) AS trace_id, created_at, updated_at, ended_at, requested_by
  FROM runs;
