-- Run as the role `gateway`, in its schema.

ALTER TABLE job_parts ADD COLUMN data_key uuid REFERENCES workspace_keys (id);
COMMENT ON COLUMN job_parts.data_key IS
    'The data key of the workspace that `body` is sealed with; none where it lies in the open.';

CREATE TABLE job_omissions (
    job_id uuid NOT NULL REFERENCES jobs ON DELETE CASCADE,
    workspace text NOT NULL,
    lead_id text NOT NULL,
    PRIMARY KEY (job_id, lead_id)
);
COMMENT ON TABLE job_omissions IS
    'Leads that were erased while an import was under way: it leaves them out.';

GRANT SELECT, INSERT, DELETE ON job_omissions TO mirsal_gateway;
SELECT guard('job_omissions'), keep_apart('job_omissions', 'mirsal_gateway');
