-- Run as the role `orchestrator`, in its schema.

CREATE TABLE workflow_graphs (
    workspace text NOT NULL,
    workflow_id text NOT NULL,
    version integer NOT NULL,
    graph json NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace, workflow_id, version)
);
COMMENT ON TABLE workflow_graphs IS
    'What each version looks like, as the first run of it brought it; versions never change.';

CREATE TABLE runs (
    id uuid PRIMARY KEY,
    workspace text NOT NULL,
    workflow_id text NOT NULL,
    version integer NOT NULL,
    lead_id text NOT NULL,
    status text NOT NULL,
    revision integer NOT NULL DEFAULT 1,
    -- json, not jsonb: a number or an order of members that changed on the way would make a
    -- template render another text after a reload than before it. Nobody queries inside.
    request json NOT NULL,
    state json NOT NULL,
    error jsonb,
    traceparent text NOT NULL DEFAULT '',
    wake_at timestamptz,
    leased_until timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT run_status_is_known CHECK (status IN (
        'running', 'waiting', 'paused', 'unconfirmed', 'succeeded', 'failed', 'cancelled')),
    CONSTRAINT unfinished_run_is_woken_or_rests CHECK (
        wake_at IS NOT NULL
        OR status IN ('paused', 'unconfirmed', 'succeeded', 'failed', 'cancelled')),
    CONSTRAINT finished_run_is_over CHECK (
        (status IN ('succeeded', 'failed', 'cancelled')) = (ended_at IS NOT NULL)
        AND (ended_at IS NULL OR wake_at IS NULL))
) WITH (fillfactor = 80);
COMMENT ON COLUMN runs.request IS 'What was asked for; written once.';
COMMENT ON COLUMN runs.state IS 'What became of it so far: orchestrator.decide.state.RunState.';
COMMENT ON COLUMN runs.wake_at IS
    'When something must be done for the run if no event comes before.';
COMMENT ON COLUMN runs.leased_until IS
    'A poller has sent the wake-up; until then no other one does.';

-- What is due, without what is leased in front of it.
CREATE INDEX runs_due ON runs ((greatest(wake_at, leased_until))) WHERE wake_at IS NOT NULL;

CREATE TABLE execution_logs (
    id uuid PRIMARY KEY,
    execution_id text NOT NULL UNIQUE,
    workspace text NOT NULL,
    run_id uuid NOT NULL,
    workflow_id text NOT NULL,
    lead_id text NOT NULL,
    node_id text NOT NULL,
    connector_type text NOT NULL,
    status text NOT NULL DEFAULT 'queued',
    attempt integer NOT NULL DEFAULT 0,
    retry_count integer NOT NULL DEFAULT 0,
    max_retries integer NOT NULL DEFAULT 3,
    start_time timestamptz,
    end_time timestamptz,
    duration_ms bigint,
    error_details jsonb,
    output_data jsonb,
    trace_id text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT execution_status_is_known CHECK (status IN (
        'queued', 'running', 'retrying', 'waiting', 'unconfirmed',
        'succeeded', 'failed', 'skipped', 'cancelled'))
) WITH (fillfactor = 80);
CREATE INDEX execution_logs_by_lead ON execution_logs (workflow_id, lead_id);
CREATE INDEX execution_logs_by_status ON execution_logs (status);
-- Rows come in the order of this time, so a summary of each range of pages finds them, at a
-- hundredth of what another B-tree takes: every change of a status is a new entry in each of those.
CREATE INDEX execution_logs_by_creation
    ON execution_logs USING brin (created_at) WITH (autosummarize = on);
CREATE INDEX execution_logs_by_run ON execution_logs (run_id);
-- The pages of a workflow's log, oldest first.
CREATE INDEX execution_logs_by_workflow
    ON execution_logs (workspace, workflow_id, created_at, id);

CREATE TABLE execution_totals (
    instance text NOT NULL,
    workspace text NOT NULL,
    workflow_id text NOT NULL,
    connector_type text NOT NULL,
    status text NOT NULL,
    bucket double precision NOT NULL,
    executions bigint NOT NULL,
    duration_seconds double precision NOT NULL,
    PRIMARY KEY (instance, workspace, workflow_id, connector_type, status, bucket)
) WITH (fillfactor = 50);
COMMENT ON TABLE execution_totals IS
    'Executions that reached a status, counted by each orchestrator in rows of its own.';
COMMENT ON COLUMN execution_totals.bucket IS
    'The smallest bound in seconds that the duration does not pass (not cumulative); '
    'Infinity above the last bound, 0 for executions that took no time of a connector''s.';

CREATE VIEW published_runs AS
SELECT id AS run_id, workspace, workflow_id, version, lead_id, status, revision, error,
       substr(traceparent, 4, 32) AS trace_id, created_at, updated_at, ended_at
  FROM runs;

CREATE VIEW published_executions AS
SELECT id, execution_id, workspace, run_id, workflow_id, lead_id, node_id, connector_type,
       status, attempt, retry_count, max_retries, start_time, end_time, duration_ms,
       error_details, output_data, trace_id, created_at, updated_at
  FROM execution_logs;

CREATE VIEW published_totals AS
SELECT workspace, workflow_id, connector_type, status, bucket,
       sum(executions)::bigint AS executions, sum(duration_seconds) AS duration_seconds
  FROM execution_totals
 GROUP BY workspace, workflow_id, connector_type, status, bucket;

-- The gateway's own migration makes its role; whichever comes first does, if it may.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'gateway') THEN
        SET LOCAL ROLE NONE;
        CREATE ROLE gateway NOLOGIN;
        SET LOCAL ROLE orchestrator;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
    WHEN insufficient_privilege THEN
        RAISE EXCEPTION 'the role "gateway" is missing, and this user may not create roles: '
            'run the gateway''s migration first';
END
$$;
GRANT USAGE ON SCHEMA orchestrator TO gateway;
GRANT SELECT ON published_runs, published_executions, published_totals TO gateway;
