-- Run as the role `gateway`, in its schema.

CREATE TABLE workflow_definitions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace text NOT NULL,
    workflow_id text NOT NULL,
    version integer NOT NULL DEFAULT 1,
    name text NOT NULL,
    description text,
    nodes jsonb NOT NULL,
    connections jsonb NOT NULL,
    triggers jsonb NOT NULL,
    is_active boolean NOT NULL DEFAULT true,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (workspace, workflow_id)
);
COMMENT ON TABLE workflow_definitions IS 'The newest version of each workflow.';
CREATE INDEX workflow_definitions_by_creation
    ON workflow_definitions (workspace, created_at, workflow_id);

CREATE TABLE workflow_versions (
    workspace text NOT NULL,
    workflow_id text NOT NULL,
    version integer NOT NULL,
    name text NOT NULL,
    description text,
    -- json, not jsonb: the order of a config's members is that of a new sheet's columns.
    nodes json NOT NULL,
    connections jsonb NOT NULL,
    triggers jsonb NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace, workflow_id, version)
);
COMMENT ON TABLE workflow_versions IS 'Every version ever saved; rows are never changed.';

CREATE TABLE leads (
    workspace text NOT NULL,
    lead_id text NOT NULL,
    name text,
    email text,
    phone text,
    locale text,
    time_zone text,
    tags jsonb NOT NULL DEFAULT '[]',
    fields jsonb NOT NULL DEFAULT '{}',
    consent jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace, lead_id)
);
CREATE INDEX leads_by_creation ON leads (workspace, created_at, lead_id);

CREATE TABLE api_keys (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace text NOT NULL,
    name text NOT NULL,
    hint text NOT NULL,
    digest bytea NOT NULL UNIQUE,
    rate_limit_per_minute integer CHECK (rate_limit_per_minute >= 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz
);
COMMENT ON COLUMN api_keys.digest IS 'HMAC-SHA256 of the key with the installation''s pepper.';
COMMENT ON COLUMN api_keys.hint IS 'How the key begins, to tell it from others.';

CREATE TABLE idempotency_keys (
    workspace text NOT NULL,
    route text NOT NULL,
    key text NOT NULL,
    body_hash bytea NOT NULL,
    id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    issued_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace, route, key)
);
COMMENT ON COLUMN idempotency_keys.id IS
    'The run of the first call with this key; the ids of a bulk start follow from it.';
COMMENT ON COLUMN idempotency_keys.issued_at IS 'When the id was last handed out.';
CREATE INDEX idempotency_keys_by_id ON idempotency_keys (workspace, id);
CREATE INDEX idempotency_keys_by_issue ON idempotency_keys (issued_at);
