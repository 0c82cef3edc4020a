-- Run as the role `orchestrator`, in its schema. The service acts as `mirsal_orchestrator`, which
-- owns nothing and works on the rows of all workspaces at once.

GRANT USAGE ON SCHEMA orchestrator TO mirsal_orchestrator;
GRANT SELECT, INSERT, UPDATE, DELETE ON runs, dead_letters TO mirsal_orchestrator;
GRANT SELECT, INSERT, UPDATE ON execution_logs, execution_totals, dead_letter_places
   TO mirsal_orchestrator;
GRANT SELECT, INSERT ON workflow_graphs, dead_letter_replays TO mirsal_orchestrator;

SELECT guard(kept), open_to(kept, 'mirsal_orchestrator')
  FROM unnest(ARRAY['workflow_graphs', 'runs', 'execution_logs', 'execution_totals',
                    'dead_letters', 'dead_letter_replays', 'dead_letter_places']::regclass[])
       AS kept;

-- The gateway's own migration makes its role; whichever comes first does, if it may.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'mirsal_gateway') THEN
        SET LOCAL ROLE NONE;
        CREATE ROLE mirsal_gateway NOLOGIN;
        SET LOCAL ROLE orchestrator;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
    WHEN insufficient_privilege THEN
        RAISE EXCEPTION 'the role "mirsal_gateway" is missing, and this user may not create roles: '
            'run the gateway''s migration first';
END
$$;

-- The views act as who reads them, so policies hold for the gateway, and it may read the columns
-- that the views show. `gateway` is what the release before acts as.
ALTER VIEW published_runs SET (security_invoker = true);
ALTER VIEW published_executions SET (security_invoker = true);
ALTER VIEW published_totals SET (security_invoker = true);
ALTER VIEW published_dead_letters SET (security_invoker = true);
ALTER VIEW published_dead_letter_replays SET (security_invoker = true);
GRANT USAGE ON SCHEMA orchestrator TO mirsal_gateway;
GRANT SELECT ON published_runs, published_executions, published_totals, published_dead_letters,
                published_dead_letter_replays
   TO mirsal_gateway;
GRANT SELECT (id, workspace, workflow_id, version, lead_id, status, revision, error, traceparent,
              created_at, updated_at, ended_at)
   ON runs TO mirsal_gateway, gateway, webhook_worker;
GRANT SELECT ON execution_logs, dead_letters, dead_letter_replays TO mirsal_gateway, gateway;
GRANT SELECT (workspace, workflow_id, connector_type, status, bucket, executions,
              duration_seconds)
   ON execution_totals TO mirsal_gateway, gateway;
SELECT keep_apart(kept, 'mirsal_gateway'), open_to(kept, 'gateway')
  FROM unnest(ARRAY['runs', 'execution_logs', 'execution_totals', 'dead_letters',
                    'dead_letter_replays']::regclass[]) AS kept;

-- The webhook worker looks for what changed in all workspaces.
SELECT open_to('runs', 'webhook_worker');
