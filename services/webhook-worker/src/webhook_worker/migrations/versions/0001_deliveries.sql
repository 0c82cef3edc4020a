-- Run as the role `webhook_worker`, in its schema.

CREATE TABLE looks (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    seen_at timestamptz NOT NULL DEFAULT now(),
    settled_at timestamptz NOT NULL DEFAULT now(),
    noted_at timestamptz,
    noted_xmax xid8
);
COMMENT ON TABLE looks IS 'One row: how far runs were looked through. Who looks has it locked.';
COMMENT ON COLUMN looks.seen_at IS 'Up to this time was looked, at what was visible then.';
COMMENT ON COLUMN looks.settled_at IS
    'Up to this time was looked after all transactions that have an earlier one had ended.';
COMMENT ON COLUMN looks.noted_xmax IS
    'Once no transaction before this one is under way, `noted_at` may be settled.';
INSERT INTO looks DEFAULT VALUES;

CREATE TABLE rests (
    run_id uuid PRIMARY KEY,
    workspace text NOT NULL,
    status text NOT NULL,
    revision integer NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE rests IS 'Runs that were seen to rest, with the revision at which they first were.';

CREATE TABLE endpoint_states (
    endpoint_id uuid PRIMARY KEY,
    workspace text NOT NULL,
    failing_since timestamptz,
    disabled_at timestamptz,
    reason text,
    leased_at timestamptz
) WITH (fillfactor = 70);
COMMENT ON TABLE endpoint_states IS 'How each endpoint does; the endpoints are the gateway''s.';
COMMENT ON COLUMN endpoint_states.disabled_at IS
    'It counts until the endpoint''s owner enables it again (`active_since` of the endpoint).';

CREATE TABLE deliveries (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace text NOT NULL,
    endpoint_id uuid NOT NULL,
    event_type text NOT NULL,
    run_id uuid,
    workflow_id text,
    occurrence bigint NOT NULL,
    occurred_at timestamptz NOT NULL,
    data jsonb NOT NULL,
    state text NOT NULL DEFAULT 'pending',
    attempts integer NOT NULL DEFAULT 0,
    attempts_before integer NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL DEFAULT now(),
    leased_until timestamptz,
    last_attempt_at timestamptz,
    last_status integer,
    last_error text,
    duration_ms integer,
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    CONSTRAINT delivery_state_is_known CHECK (state IN ('pending', 'delivered', 'dead')),
    CONSTRAINT ended_delivery_is_over CHECK (
        (state = 'pending') = (ended_at IS NULL)
        AND (state = 'pending' OR leased_until IS NULL)),
    UNIQUE (endpoint_id, run_id, event_type, occurrence)
) WITH (fillfactor = 80);
COMMENT ON COLUMN deliveries.occurrence IS
    'Tells apart that a run ended, or rested, a second time: when it ended, or the revision.';
COMMENT ON COLUMN deliveries.attempts IS
    'Grows with each lease: an outcome counts only for the newest one.';
COMMENT ON COLUMN deliveries.attempts_before IS
    'Those before somebody asked for it to be sent again: the schedule begins anew.';

CREATE INDEX deliveries_due ON deliveries (endpoint_id, (greatest(next_at, leased_until)))
 WHERE state = 'pending';
CREATE INDEX deliveries_in_flight ON deliveries (endpoint_id, leased_until)
 WHERE leased_until IS NOT NULL;
CREATE INDEX deliveries_dead ON deliveries (endpoint_id, ended_at) WHERE state = 'dead';
-- The pages of an endpoint's list, oldest first.
CREATE INDEX deliveries_by_endpoint ON deliveries (endpoint_id, created_at, id);
CREATE INDEX deliveries_by_end ON deliveries (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE wishes_granted (
    id uuid PRIMARY KEY,
    workspace text NOT NULL,
    granted_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE wishes_granted IS 'The gateway''s wishes that were done; each counts once.';

CREATE VIEW published_deliveries AS
SELECT id, workspace, endpoint_id, event_type, run_id, workflow_id, occurred_at, data, state,
       attempts, CASE WHEN state = 'pending' THEN next_at END AS next_at, last_attempt_at,
       last_status, last_error, duration_ms, created_at, ended_at
  FROM deliveries;

CREATE VIEW published_endpoint_states AS
SELECT endpoint_id, workspace, failing_since, disabled_at, reason
  FROM endpoint_states;

-- The gateway's own migration makes its role; whichever comes first does, if it may.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'gateway') THEN
        SET LOCAL ROLE NONE;
        CREATE ROLE gateway NOLOGIN;
        SET LOCAL ROLE webhook_worker;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
    WHEN insufficient_privilege THEN
        RAISE EXCEPTION 'the role "gateway" is missing, and this user may not create roles: '
            'let somebody who may run CREATE ROLE gateway NOLOGIN';
END
$$;
GRANT USAGE ON SCHEMA webhook_worker TO gateway;
GRANT SELECT ON published_deliveries, published_endpoint_states TO gateway;
