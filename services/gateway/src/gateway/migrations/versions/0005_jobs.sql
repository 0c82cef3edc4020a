-- Run as the role `gateway`, in its schema.

CREATE TABLE jobs (
    id uuid PRIMARY KEY,
    workspace text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('leads_import', 'runs_start', 'letters_replay')),
    status text NOT NULL DEFAULT 'receiving' CHECK (status IN (
        'receiving', 'queued', 'running', 'succeeded', 'failed', 'cancelled')),
    workflow_id text,
    request jsonb NOT NULL,
    idempotency_key text,
    body_hash bytea,
    created_by text NOT NULL,
    total integer,
    done integer NOT NULL DEFAULT 0,
    failed integer NOT NULL DEFAULT 0,
    created integer NOT NULL DEFAULT 0,
    updated integer NOT NULL DEFAULT 0,
    error jsonb,
    place text NOT NULL DEFAULT '',
    lease uuid,
    leased_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    expires_at timestamptz NOT NULL
);
COMMENT ON COLUMN jobs.place IS 'How far it is: the next part; moved only by who has the lease.';
COMMENT ON COLUMN jobs.expires_at IS 'The job fails if it has not ended by then.';
CREATE UNIQUE INDEX jobs_by_key ON jobs (workspace, kind, idempotency_key)
 WHERE idempotency_key IS NOT NULL;
CREATE INDEX jobs_by_creation ON jobs (workspace, created_at, id);
CREATE INDEX jobs_open ON jobs (updated_at) WHERE status IN ('receiving', 'queued', 'running');
CREATE INDEX jobs_by_end ON jobs (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE job_parts (
    job_id uuid NOT NULL REFERENCES jobs ON DELETE CASCADE,
    workspace text NOT NULL,
    number integer NOT NULL,
    first integer NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (job_id, number)
);
COMMENT ON TABLE job_parts IS 'What a job has still to work off; each part goes when it is done.';
COMMENT ON COLUMN job_parts.first IS 'The number of its first line, or of its first lead.';

CREATE TABLE job_faults (
    job_id uuid NOT NULL REFERENCES jobs ON DELETE CASCADE,
    workspace text NOT NULL,
    line integer NOT NULL,
    number integer NOT NULL,
    pointer text NOT NULL,
    message text NOT NULL,
    PRIMARY KEY (job_id, line, number)
);
