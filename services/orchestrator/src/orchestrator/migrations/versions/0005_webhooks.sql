-- Run as the role `orchestrator`, in its schema.

-- The webhook worker's own migration makes its role; whichever comes first does, if it may.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'webhook_worker') THEN
        SET LOCAL ROLE NONE;
        CREATE ROLE webhook_worker NOLOGIN;
        SET LOCAL ROLE orchestrator;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
    WHEN insufficient_privilege THEN
        RAISE EXCEPTION 'the role "webhook_worker" is missing, and this user may not create roles: '
            'let somebody who may run CREATE ROLE webhook_worker NOLOGIN';
END
$$;
GRANT USAGE ON SCHEMA orchestrator TO webhook_worker;
GRANT SELECT ON published_runs TO webhook_worker;
