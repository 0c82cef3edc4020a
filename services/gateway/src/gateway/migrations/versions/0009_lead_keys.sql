-- Run as the role `gateway`, in its schema.

CREATE TABLE lead_keys (
    id uuid PRIMARY KEY,
    workspace text NOT NULL,
    lead_id text NOT NULL,
    data_key uuid NOT NULL REFERENCES workspace_keys (id),
    wrapped bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (workspace, lead_id)
);
COMMENT ON TABLE lead_keys IS
    'The key of each lead, wrapped by its workspace''s data key. Without its row, nothing that was '
    'sealed with a key can be read, in whatever table, topic or backup it is.';

-- A lead that is sealed has its other personal columns empty.
ALTER TABLE leads
    ADD COLUMN key_id uuid REFERENCES lead_keys (id),
    ADD COLUMN sealed text,
    ADD COLUMN email_index bytea,
    ADD COLUMN phone_index bytea;
COMMENT ON COLUMN leads.sealed IS
    'The lead as messages carry it, in Base64: sealed with `key_id` for this workspace and id.';
COMMENT ON COLUMN leads.email_index IS
    'Which address it is, for who knows the address: an HMAC under a key of the workspace.';
CREATE INDEX leads_by_key ON leads (key_id) WHERE key_id IS NOT NULL;
CREATE INDEX leads_by_email ON leads (workspace, email_index) WHERE email_index IS NOT NULL;
CREATE INDEX leads_by_phone ON leads (workspace, phone_index) WHERE phone_index IS NOT NULL;
CREATE INDEX leads_open ON leads (workspace, lead_id) WHERE sealed IS NULL;

GRANT SELECT, INSERT, UPDATE, DELETE ON lead_keys TO mirsal_gateway;
GRANT DELETE ON leads TO mirsal_gateway;
SELECT guard('lead_keys'), keep_apart('lead_keys', 'mirsal_gateway');

-- It acts as its owner, which sees all workspaces; who reads it has no right to the tables. A
-- barrier: no function of a reader's own is shown a row before the view has chosen it.
CREATE VIEW published_lead_keys WITH (security_barrier = true) AS
SELECT lead.id, lead.workspace, lead.lead_id, lead.wrapped, lead.data_key,
       key.wrapped AS data_key_wrapped, key.key_id
  FROM lead_keys AS lead
  JOIN workspace_keys AS key ON key.id = lead.data_key;
COMMENT ON VIEW published_lead_keys IS
    'What opens leads, for those who hold the key-encryption keys.';

SELECT have_role(reader)
  FROM unnest(ARRAY['mirsal_orchestrator', 'mirsal_email_worker', 'mirsal_whatsapp_worker',
                    'mirsal_sheets_worker', 'mirsal_code_runner', 'mirsal_noop_worker']) AS reader;
GRANT USAGE ON SCHEMA gateway TO mirsal_orchestrator, mirsal_code_runner, mirsal_noop_worker;
GRANT SELECT ON published_lead_keys
   TO mirsal_gateway, mirsal_orchestrator, mirsal_email_worker, mirsal_whatsapp_worker,
      mirsal_sheets_worker, mirsal_code_runner, mirsal_noop_worker;
