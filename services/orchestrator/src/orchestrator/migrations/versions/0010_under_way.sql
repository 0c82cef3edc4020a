-- Run as the role `orchestrator`, in its schema.

-- What gateways count that bound a workspace's runs: those that something is yet to be done for
-- without a person. `runs_due` is their index; one by workspace would cost every change of a run.
CREATE VIEW published_runs_under_way WITH (security_invoker = true) AS
SELECT id AS run_id, workspace FROM runs WHERE wake_at IS NOT NULL;
GRANT SELECT (wake_at) ON runs TO mirsal_gateway;
GRANT SELECT ON published_runs_under_way TO mirsal_gateway;
