-- The statements of the webhook worker's store.

-- name: find_tables
SELECT FROM looks, deliveries, endpoint_states LIMIT 0;

-- name: lock_looks
-- Whoever has this row looks; nothing when another one does.
SELECT seen_at, settled_at, noted_at, now() AS now,
       pg_snapshot_xmin(pg_current_snapshot()) >= noted_xmax AS may_settle
  FROM looks
   FOR UPDATE SKIP LOCKED;

-- name: note_endpoints
-- Endpoints that are new, or enabled again since they were disabled; how many listen now.
WITH listening AS MATERIALIZED (
    SELECT id, workspace, active_since FROM gateway.published_webhook_endpoints WHERE is_enabled
),
added AS (
    INSERT INTO endpoint_states (endpoint_id, workspace)
    SELECT id, workspace FROM listening
     WHERE NOT EXISTS (SELECT FROM endpoint_states WHERE endpoint_id = listening.id)
    ON CONFLICT DO NOTHING
),
revived AS (
    UPDATE endpoint_states AS state
       SET failing_since = NULL, disabled_at = NULL, reason = NULL
      FROM listening
     WHERE state.endpoint_id = listening.id AND state.disabled_at < listening.active_since
)
SELECT count(*) AS listening
  FROM listening LEFT JOIN endpoint_states AS state ON state.endpoint_id = listening.id
 WHERE state.disabled_at IS NULL OR state.disabled_at < listening.active_since;

-- name: look
-- A delivery for each endpoint that listens to what a run became between two moments. Runs that
-- rest have no time at which they began to: what tells two rests apart is the revision at which
-- each was first seen.
WITH listening AS MATERIALIZED (
    SELECT listed.id, listed.workspace, listed.event_types, listed.workflow_ids,
           listed.active_since
      FROM gateway.published_webhook_endpoints AS listed
      LEFT JOIN endpoint_states AS state ON state.endpoint_id = listed.id
     WHERE listed.is_enabled
       AND (state.disabled_at IS NULL OR state.disabled_at < listed.active_since)
),
changed AS MATERIALIZED (
    SELECT run.run_id, run.workspace, run.workflow_id, run.version, run.lead_id, run.status,
           run.revision, run.error, run.trace_id, run.created_at, run.updated_at, run.ended_at,
           CASE WHEN run.ended_at IS NOT NULL
                THEN (extract(epoch FROM run.ended_at) * 1000000)::bigint
                WHEN rest.status = run.status THEN rest.revision
                ELSE run.revision END AS occurrence
      FROM orchestrator.published_runs AS run
      LEFT JOIN rests AS rest ON rest.run_id = run.run_id
     WHERE run.workspace = ANY (ARRAY (SELECT workspace FROM listening))
       AND run.updated_at > $1::timestamptz AND run.updated_at <= $2::timestamptz
),
rested AS (
    INSERT INTO rests (run_id, workspace, status, revision)
    SELECT run_id, workspace, status, revision FROM changed
     WHERE status IN ('paused', 'unconfirmed')
    ON CONFLICT (run_id) DO UPDATE
       SET status = excluded.status, revision = excluded.revision, noted_at = now()
     WHERE rests.status <> excluded.status
),
resumed AS (
    DELETE FROM rests USING changed
     WHERE rests.run_id = changed.run_id AND changed.status NOT IN ('paused', 'unconfirmed')
),
added AS (
    INSERT INTO deliveries (workspace, endpoint_id, event_type, run_id, workflow_id, occurrence,
                            occurred_at, data)
    SELECT changed.workspace, listening.id, 'run.' || changed.status, changed.run_id,
           changed.workflow_id, changed.occurrence,
           coalesce(changed.ended_at, changed.updated_at),
           jsonb_build_object(
               'runId', changed.run_id, 'workflowId', changed.workflow_id,
               'version', changed.version, 'leadId', changed.lead_id, 'status', changed.status,
               'error', changed.error, 'traceId', nullif(changed.trace_id, ''),
               'createdAt', changed.created_at, 'endedAt', changed.ended_at)
      FROM changed
      JOIN listening ON listening.workspace = changed.workspace
                    AND 'run.' || changed.status = ANY (listening.event_types)
                    AND (listening.workflow_ids IS NULL
                         OR changed.workflow_id = ANY (listening.workflow_ids))
                    AND changed.updated_at >= listening.active_since
    ON CONFLICT DO NOTHING
    RETURNING 1
)
SELECT count(*) AS added FROM added;

-- name: note_seen
UPDATE looks SET seen_at = $1;

-- name: note_settled
UPDATE looks SET settled_at = $1;

-- name: note_transactions
-- What was seen is settled once all transactions that are under way now have ended.
UPDATE looks SET noted_at = seen_at, noted_xmax = pg_snapshot_xmax(pg_current_snapshot());

-- name: skip_look
-- Nobody listens: what happens meanwhile is not told to who listens later.
UPDATE looks
   SET seen_at = now(), settled_at = now(), noted_at = NULL, noted_xmax = NULL
 WHERE seen_at < now() - interval '5 s';

-- name: grant_wishes
-- What people want of deliveries, each wish once.
WITH wish AS MATERIALIZED (
    INSERT INTO wishes_granted (id, workspace)
    SELECT id, workspace FROM gateway.published_webhook_wishes AS wanted
     WHERE created_at > now() - interval '7 days'
       AND NOT EXISTS (SELECT FROM wishes_granted WHERE id = wanted.id)
     ORDER BY created_at
     LIMIT 500
    ON CONFLICT DO NOTHING
    RETURNING id
),
wanted AS MATERIALIZED (
    SELECT listed.* FROM gateway.published_webhook_wishes AS listed JOIN wish USING (id)
),
tested AS (
    INSERT INTO deliveries (id, workspace, endpoint_id, event_type, occurrence, occurred_at, data)
    SELECT id, workspace, endpoint_id, 'webhook.test', 0, created_at,
           jsonb_build_object('webhookId', endpoint_id)
      FROM wanted
     WHERE kind = 'test'
    ON CONFLICT DO NOTHING
    RETURNING 1
),
repeated AS (
    UPDATE deliveries AS old
       SET state = 'pending', next_at = now(), ended_at = NULL, attempts_before = attempts
      FROM wanted
     WHERE old.endpoint_id = wanted.endpoint_id AND old.workspace = wanted.workspace
       AND (old.id = wanted.delivery_id
            OR wanted.kind = 'redeliver_dead'
               AND old.state = 'dead' AND old.ended_at >= wanted.since)
       AND (old.state <> 'pending' OR old.leased_until IS NULL)
    RETURNING 1
)
SELECT (SELECT count(*) FROM tested) + (SELECT count(*) FROM repeated) AS due;

-- name: bury
-- What was to be sent to endpoints that are disabled or no more: a person may send it again.
WITH closed AS MATERIALIZED (
    SELECT state.endpoint_id, listed.id IS NULL AS is_removed
      FROM endpoint_states AS state
      LEFT JOIN gateway.published_webhook_endpoints AS listed ON listed.id = state.endpoint_id
     WHERE listed.id IS NULL OR NOT listed.is_enabled OR state.disabled_at >= listed.active_since
)
UPDATE deliveries AS left_over
   SET state = 'dead', ended_at = now(), leased_until = NULL,
       last_error = CASE WHEN closed.is_removed THEN 'the endpoint was removed'
                         ELSE 'the endpoint is disabled' END
  FROM closed
 WHERE left_over.endpoint_id = ANY (ARRAY (SELECT endpoint_id FROM closed))
   AND left_over.endpoint_id = closed.endpoint_id
   AND left_over.state = 'pending'
   AND (left_over.leased_until IS NULL OR left_over.leased_until < now());

-- name: read_lateness
-- Seconds: how far looks are behind, or how long the oldest due delivery has waited of an endpoint
-- to which nothing is under way (where something is, it is the endpoint that keeps it waiting).
SELECT greatest(
           (SELECT extract(epoch FROM now() - seen_at) FROM looks),
           (SELECT extract(epoch FROM now() - min(due.since))
              FROM endpoint_states AS state
              JOIN gateway.published_webhook_endpoints AS listed ON listed.id = state.endpoint_id
             CROSS JOIN LATERAL (
                   SELECT greatest(next_at, leased_until) AS since FROM deliveries
                    WHERE endpoint_id = state.endpoint_id AND state = 'pending'
                    ORDER BY greatest(next_at, leased_until)
                    LIMIT 1) AS due
             WHERE listed.is_enabled
               AND (state.disabled_at IS NULL OR state.disabled_at < listed.active_since)
               AND due.since <= now()
               AND NOT EXISTS (SELECT FROM deliveries AS busy
                                WHERE busy.endpoint_id = state.endpoint_id
                                  AND busy.leased_until > now())),
           0)::float8 AS seconds;

-- name: lock_due
-- Endpoints that have something due and room for it, the longest waiting first. Their lock makes
-- the bound on their calls one of all processes.
SELECT state.endpoint_id
  FROM endpoint_states AS state
  JOIN gateway.published_webhook_endpoints AS listed ON listed.id = state.endpoint_id
 WHERE listed.is_enabled
   AND (state.disabled_at IS NULL OR state.disabled_at < listed.active_since)
   AND EXISTS (SELECT FROM deliveries AS due
                WHERE due.endpoint_id = state.endpoint_id AND due.state = 'pending'
                  AND greatest(due.next_at, due.leased_until) <= now())
   AND (SELECT count(*) FROM deliveries AS busy
         WHERE busy.endpoint_id = state.endpoint_id AND busy.leased_until > now())
       < CASE WHEN state.failing_since IS NULL THEN $2::integer ELSE 1 END
 ORDER BY state.leased_at NULLS FIRST
 LIMIT $1
   FOR NO KEY UPDATE OF state SKIP LOCKED;

-- name: lease_due
-- Of the endpoints that the statement before locked.
WITH room AS MATERIALIZED (
    SELECT state.endpoint_id,
           CASE WHEN state.failing_since IS NULL THEN $3::integer ELSE 1 END
           - (SELECT count(*) FROM deliveries AS busy
               WHERE busy.endpoint_id = state.endpoint_id AND busy.leased_until > now()) AS free
      FROM endpoint_states AS state
     WHERE state.endpoint_id = ANY ($1::uuid[])
),
picked AS MATERIALIZED (
    SELECT due.id
      FROM room
     CROSS JOIN LATERAL (
           SELECT id FROM deliveries
            WHERE endpoint_id = room.endpoint_id AND state = 'pending'
              AND greatest(next_at, leased_until) <= now()
            ORDER BY greatest(next_at, leased_until)
            LIMIT greatest(room.free, 0)) AS due
     LIMIT $2
),
leased AS (
    UPDATE deliveries
       SET leased_until = now() + $4::interval, attempts = attempts + 1, last_attempt_at = now()
     WHERE id = ANY (ARRAY (SELECT id FROM picked))
    RETURNING id, workspace, endpoint_id, event_type, occurred_at, data, attempts,
              attempts_before
),
served AS (
    UPDATE endpoint_states SET leased_at = now()
     WHERE endpoint_id = ANY (ARRAY (SELECT endpoint_id FROM leased))
)
SELECT leased.*, listed.url, listed.secret, listed.previous_secret
  FROM leased JOIN gateway.published_webhook_endpoints AS listed ON listed.id = leased.endpoint_id;

-- name: note_delivered
-- Counts only for the newest attempt.
WITH ended AS (
    UPDATE deliveries
       SET state = 'delivered', ended_at = now(), leased_until = NULL, last_status = $3,
           last_error = NULL, duration_ms = $4
     WHERE id = $1 AND attempts = $2 AND state = 'pending'
    RETURNING endpoint_id
),
recovered AS (
    UPDATE endpoint_states SET failing_since = NULL, reason = NULL
     WHERE endpoint_id = (SELECT endpoint_id FROM ended)
       AND failing_since IS NOT NULL AND disabled_at IS NULL
)
SELECT endpoint_id FROM ended;

-- name: note_failed
-- $5: how long until it is tried again; null where it is dead. $7: whether to disable the endpoint
-- at once, $9: how long it may fail before that. $8: whether it is the endpoint's fault at all.
WITH failed AS (
    UPDATE deliveries
       SET state = CASE WHEN $5::interval IS NULL THEN 'dead' ELSE 'pending' END,
           ended_at = CASE WHEN $5::interval IS NULL THEN now() END,
           next_at = now() + coalesce($5::interval, '0 s'), leased_until = NULL,
           last_status = $3, last_error = $4, duration_ms = $6
     WHERE id = $1 AND attempts = $2 AND state = 'pending'
    RETURNING endpoint_id
),
judged AS (
    UPDATE endpoint_states
       SET failing_since = coalesce(failing_since, now()),
           disabled_at = CASE WHEN $7 OR failing_since < now() - $9::interval
                              THEN coalesce(disabled_at, now()) ELSE disabled_at END,
           reason = $4
     WHERE $8 AND endpoint_id = (SELECT endpoint_id FROM failed)
    RETURNING disabled_at IS NOT NULL AS is_disabled
)
SELECT endpoint_id, (SELECT is_disabled FROM judged) AS is_disabled FROM failed;

-- name: forget
-- What was over long ago, some of it.
DELETE FROM deliveries
 WHERE id = ANY (ARRAY (SELECT id FROM deliveries
                         WHERE ended_at < now() - $1::interval
                         ORDER BY ended_at LIMIT $2));

-- name: forget_traces
WITH wish AS (
    DELETE FROM wishes_granted WHERE granted_at < now() - interval '8 days'
),
rest AS (
    DELETE FROM rests WHERE noted_at < now() - interval '90 days'
)
DELETE FROM endpoint_states AS state
 WHERE NOT EXISTS (SELECT FROM gateway.published_webhook_endpoints WHERE id = state.endpoint_id)
   AND NOT EXISTS (SELECT FROM deliveries WHERE endpoint_id = state.endpoint_id);
