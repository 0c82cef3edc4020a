-- Run as the role `gateway`, in its schema.

CREATE TABLE webhook_endpoints (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace text NOT NULL,
    url text NOT NULL,
    description text,
    event_types text[] NOT NULL,
    workflow_ids text[],
    is_enabled boolean NOT NULL,
    active_since timestamptz NOT NULL DEFAULT now(),
    secret bytea NOT NULL,
    previous_secret bytea,
    previous_until timestamptz,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN webhook_endpoints.secret IS 'Sealed; mirsal_runtime.webhook_secrets opens it.';
COMMENT ON COLUMN webhook_endpoints.active_since IS 'Since it was last enabled: what came before is not told.';
CREATE INDEX webhook_endpoints_by_creation ON webhook_endpoints (workspace, created_at, id);

CREATE TABLE webhook_wishes (
    id uuid PRIMARY KEY,
    workspace text NOT NULL,
    endpoint_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('test', 'redeliver', 'redeliver_dead')),
    delivery_id uuid,
    since timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT wish_says_of_what CHECK (
        (kind = 'redeliver') = (delivery_id IS NOT NULL)
        AND (kind = 'redeliver_dead') = (since IS NOT NULL))
);
COMMENT ON TABLE webhook_wishes IS
    'What the webhook worker is to do once. The id of a test is that of its delivery.';
CREATE INDEX webhook_wishes_by_creation ON webhook_wishes (created_at);

CREATE VIEW published_webhook_endpoints AS
SELECT id, workspace, url, event_types, workflow_ids, is_enabled, active_since, secret,
       CASE WHEN previous_until > now() THEN previous_secret END AS previous_secret
  FROM webhook_endpoints;

CREATE VIEW published_webhook_wishes AS
SELECT id, workspace, endpoint_id, kind, delivery_id, since, created_at
  FROM webhook_wishes;

-- The worker's own migration makes its role; whichever comes first does, if it may.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'webhook_worker') THEN
        SET LOCAL ROLE NONE;
        CREATE ROLE webhook_worker NOLOGIN;
        SET LOCAL ROLE gateway;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
    WHEN insufficient_privilege THEN
        RAISE EXCEPTION 'the role "webhook_worker" is missing, and this user may not create roles: '
            'let somebody who may run CREATE ROLE webhook_worker NOLOGIN';
END
$$;
GRANT USAGE ON SCHEMA gateway TO webhook_worker;
GRANT SELECT ON published_webhook_endpoints, published_webhook_wishes TO webhook_worker;
