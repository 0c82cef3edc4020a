-- Run as the role `webhook_worker`, in its schema.

-- The gateway's own migration makes its role; whichever comes first does, if it may.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'mirsal_gateway') THEN
        SET LOCAL ROLE NONE;
        CREATE ROLE mirsal_gateway NOLOGIN;
        SET LOCAL ROLE webhook_worker;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
    WHEN insufficient_privilege THEN
        RAISE EXCEPTION 'the role "mirsal_gateway" is missing, and this user may not create roles: '
            'run the gateway''s migration first';
END
$$;
GRANT USAGE ON SCHEMA webhook_worker TO mirsal_gateway;
GRANT SELECT ON published_endpoint_states, published_deliveries TO mirsal_gateway;
