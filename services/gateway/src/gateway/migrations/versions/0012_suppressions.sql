-- Run as the role `gateway`, in its schema.

CREATE TABLE sending_policies (
    workspace text NOT NULL,
    channel text NOT NULL CHECK (channel IN ('email', 'whatsapp')),
    only_listed boolean NOT NULL DEFAULT false,
    data_key uuid NOT NULL REFERENCES workspace_keys (id),
    updated_by text,
    updated_at timestamptz,
    PRIMARY KEY (workspace, channel)
);
COMMENT ON TABLE sending_policies IS
    'Workspaces that have rules of whom they may write to: each with a row in `suppressions` has one '
    'here, so that connectors need not look for the others.';
COMMENT ON COLUMN sending_policies.data_key IS 'What the key of the indexes follows from.';

CREATE TABLE suppressions (
    id uuid PRIMARY KEY,
    workspace text NOT NULL,
    channel text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('deny', 'allow')),
    address_index bytea NOT NULL,
    masked text NOT NULL,
    reason text,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (address_index, workspace, channel),
    FOREIGN KEY (workspace, channel) REFERENCES sending_policies
);
COMMENT ON COLUMN suppressions.address_index IS
    'Which address it is, for who knows the address: an HMAC under a key of the workspace.';
COMMENT ON COLUMN suppressions.masked IS 'So much of the address as a person needs to recognise it.';
CREATE INDEX suppressions_by_creation ON suppressions (workspace, created_at, id);

GRANT SELECT, INSERT, UPDATE ON sending_policies TO mirsal_gateway;
GRANT SELECT, INSERT, UPDATE, DELETE ON suppressions TO mirsal_gateway;
SELECT guard(kept), keep_apart(kept, 'mirsal_gateway')
  FROM unnest(ARRAY['sending_policies', 'suppressions']::regclass[]) AS kept;

-- They act as their owner, which sees all workspaces; who reads them has no right to the tables.
-- Barriers: no function of a reader's own is shown a row before the view has chosen it.
CREATE VIEW published_sending_policies WITH (security_barrier = true) AS
SELECT policy.workspace, policy.only_listed, policy.data_key, key.key_id, key.wrapped
  FROM sending_policies AS policy
  JOIN workspace_keys AS key ON key.id = policy.data_key
 WHERE policy.channel = CASE current_user
                             WHEN 'mirsal_email_worker' THEN 'email'
                             WHEN 'mirsal_whatsapp_worker' THEN 'whatsapp'
                        END;
COMMENT ON VIEW published_sending_policies IS
    'Which workspaces have rules of whom they may write to; each connector sees its own channel.';

CREATE VIEW published_suppressions WITH (security_barrier = true) AS
SELECT listed.workspace, listed.kind, listed.address_index
  FROM suppressions AS listed
 WHERE listed.channel = CASE current_user
                             WHEN 'mirsal_email_worker' THEN 'email'
                             WHEN 'mirsal_whatsapp_worker' THEN 'whatsapp'
                        END;
COMMENT ON VIEW published_suppressions IS
    'What is listed, without a readable part of any address; each connector sees its own channel.';

GRANT SELECT ON published_sending_policies, published_suppressions
   TO mirsal_email_worker, mirsal_whatsapp_worker;
