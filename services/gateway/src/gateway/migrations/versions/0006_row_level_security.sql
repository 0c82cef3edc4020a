-- Run as the role `gateway`, in its schema. The service acts as `mirsal_gateway`, which owns nothing.

GRANT USAGE ON SCHEMA gateway TO mirsal_gateway;
GRANT SELECT, INSERT, UPDATE ON workflow_definitions, leads, api_keys TO mirsal_gateway;
GRANT SELECT, INSERT ON workflow_versions, audit_log, job_faults TO mirsal_gateway;
GRANT SELECT, INSERT, DELETE ON audit_inbox, webhook_wishes, job_parts TO mirsal_gateway;
GRANT SELECT, INSERT, UPDATE, DELETE ON webhook_endpoints, jobs TO mirsal_gateway;
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_keys, workspace_limits TO mirsal_gateway;

SELECT guard(kept), keep_apart(kept, 'mirsal_gateway')
  FROM unnest(ARRAY['workflow_definitions', 'workflow_versions', 'leads', 'api_keys',
                    'idempotency_keys', 'workspace_limits', 'audit_inbox', 'audit_log',
                    'webhook_endpoints', 'webhook_wishes', 'jobs', 'job_parts', 'job_faults']::regclass[]) AS kept;
