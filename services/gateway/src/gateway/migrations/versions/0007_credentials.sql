-- Run as the role `gateway`, in its schema.

CREATE TABLE workspace_keys (
    id uuid PRIMARY KEY,
    workspace text NOT NULL UNIQUE,
    key_id text NOT NULL,
    wrapped bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    wrapped_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE workspace_keys IS
    'The data key of each workspace, wrapped by the key-encryption key `key_id`, which is not here.';
CREATE INDEX workspace_keys_by_key_id ON workspace_keys (key_id, id);

CREATE TABLE credentials (
    workspace text NOT NULL,
    credential_id text NOT NULL,
    type text NOT NULL CHECK (type IN ('smtp', 'whatsapp', 'google')),
    name text,
    summary text NOT NULL,
    revision uuid NOT NULL,
    data_key uuid NOT NULL REFERENCES workspace_keys (id),
    sealed bytea NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_by text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace, credential_id)
);
COMMENT ON COLUMN credentials.sealed IS
    'The account, bound to workspace, id, type and data key: moved elsewhere it does not open.';
COMMENT ON COLUMN credentials.summary IS 'Which account it is, without secrets.';
CREATE INDEX credentials_by_creation ON credentials (workspace, created_at, credential_id);

GRANT SELECT, INSERT, UPDATE ON workspace_keys TO mirsal_gateway;
GRANT SELECT, INSERT, UPDATE, DELETE ON credentials TO mirsal_gateway;
SELECT guard(kept), keep_apart(kept, 'mirsal_gateway')
  FROM unnest(ARRAY['workspace_keys', 'credentials']::regclass[]) AS kept;

-- It acts as its owner, which sees all workspaces; who reads it has no right to the tables.
CREATE VIEW published_credentials AS
SELECT credential.workspace, credential.credential_id, credential.type, credential.revision,
       credential.sealed, credential.data_key, key.key_id, key.wrapped
  FROM credentials AS credential
  JOIN workspace_keys AS key ON key.id = credential.data_key
 WHERE credential.type = CASE current_user
                              WHEN 'email_worker' THEN 'smtp'
                              WHEN 'whatsapp_worker' THEN 'whatsapp'
                              WHEN 'sheets_worker' THEN 'google'
                         END;
COMMENT ON VIEW published_credentials IS
    'What connectors may read: each the one type that it uses, and nobody else anything.';

-- The connectors' own migrations make their roles; whichever comes first does, if it may.
DO $$
DECLARE
    connector text;
BEGIN
    FOREACH connector IN ARRAY ARRAY['email_worker', 'whatsapp_worker', 'sheets_worker'] LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = connector) THEN
                SET LOCAL ROLE NONE;
                EXECUTE format('CREATE ROLE %I NOLOGIN', connector);
                SET LOCAL ROLE gateway;
            END IF;
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN SET LOCAL ROLE gateway;
            WHEN insufficient_privilege THEN
                RAISE EXCEPTION 'the role "%" is missing, and this user may not create roles: run '
                    'that service''s migration first', connector;
        END;
        EXECUTE format('GRANT USAGE ON SCHEMA gateway TO %I', connector);
        EXECUTE format('GRANT SELECT ON published_credentials TO %I', connector);
    END LOOP;
END
$$;
