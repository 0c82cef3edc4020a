-- Run as the role `webhook_worker`, in its schema. The service acts as `mirsal_webhook_worker`, which
-- owns nothing and looks after the endpoints of all workspaces at once.

GRANT USAGE ON SCHEMA webhook_worker TO mirsal_webhook_worker;
GRANT SELECT, UPDATE ON looks TO mirsal_webhook_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON rests, endpoint_states, deliveries TO mirsal_webhook_worker;
GRANT SELECT, INSERT, DELETE ON wishes_granted TO mirsal_webhook_worker;

SELECT guard(kept), open_to(kept, 'mirsal_webhook_worker')
  FROM unnest(ARRAY['looks', 'rests', 'endpoint_states', 'deliveries',
                    'wishes_granted']::regclass[]) AS kept;

-- The gateway sees through the views what it may see of the tables: one workspace. `gateway` is what
-- the release before its own row-level security acted as.
ALTER VIEW published_deliveries SET (security_invoker = true);
ALTER VIEW published_endpoint_states SET (security_invoker = true);
GRANT SELECT (id, workspace, endpoint_id, event_type, run_id, workflow_id, occurred_at, data, state,
              attempts, next_at, last_attempt_at, last_status, last_error, duration_ms, created_at,
              ended_at)
   ON deliveries TO mirsal_gateway, gateway;
GRANT SELECT (endpoint_id, workspace, failing_since, disabled_at, reason)
   ON endpoint_states TO mirsal_gateway, gateway;
SELECT keep_apart(kept, 'mirsal_gateway'), open_to(kept, 'gateway')
  FROM unnest(ARRAY['deliveries', 'endpoint_states']::regclass[]) AS kept;
