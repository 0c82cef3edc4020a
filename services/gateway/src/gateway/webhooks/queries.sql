-- Endpoints of webhooks, and the worker's view of what became of them.

-- name: add
-- None when the workspace has as many as it may.
INSERT INTO webhook_endpoints
       (id, workspace, url, description, event_types, workflow_ids, is_enabled, secret, created_by)
SELECT $1, $2, $3, $4, $5::text[], $6::text[], $7, $8, $9
 WHERE (SELECT count(*) FROM webhook_endpoints WHERE workspace = $2) < $10
RETURNING id;

-- name: save
-- Enabled again, also after the worker has disabled it, it is told what happens from then on.
UPDATE webhook_endpoints
   SET url = $3, description = $4, event_types = $5::text[], workflow_ids = $6::text[],
       active_since = CASE WHEN $7 AND (NOT is_enabled OR $8) THEN now() ELSE active_since END,
       is_enabled = $7, updated_at = now()
 WHERE id = $1 AND workspace = $2
RETURNING id;

-- name: rotate
UPDATE webhook_endpoints
   SET previous_secret = secret, previous_until = now() + $4::interval, secret = $3,
       updated_at = now()
 WHERE id = $1 AND workspace = $2
RETURNING id;

-- name: read_sealed
SELECT id, workspace, secret, previous_secret
  FROM webhook_endpoints
 WHERE id > $1
 ORDER BY id
 LIMIT $2;

-- name: reseal
-- Nothing comes back where the secrets have changed since they were read.
UPDATE webhook_endpoints
   SET secret = $4, previous_secret = $5
 WHERE id = $1 AND secret = $2 AND previous_secret IS NOT DISTINCT FROM $3::bytea
RETURNING id;

-- name: remove
DELETE FROM webhook_endpoints WHERE id = $1 AND workspace = $2 RETURNING id;

-- name: list
SELECT listed.id, listed.url, listed.description, listed.event_types, listed.workflow_ids,
       listed.is_enabled, listed.active_since, listed.created_by, listed.created_at,
       listed.updated_at, state.failing_since, state.disabled_at, state.reason,
       CASE WHEN listed.previous_until > now() THEN listed.previous_until END AS previous_until
  FROM webhook_endpoints AS listed
  LEFT JOIN webhook_worker.published_endpoint_states AS state ON state.endpoint_id = listed.id
 WHERE listed.workspace = $1 AND (listed.created_at, listed.id) > ($2::timestamptz, $3::uuid)
   AND ($4::text[] IS NULL OR listed.workflow_ids <@ $4::text[])
   AND ($5::timestamptz IS NULL OR listed.created_at >= $5)
   AND ($6::timestamptz IS NULL OR listed.created_at < $6)
 ORDER BY listed.created_at ASC, listed.id ASC
 LIMIT $7;

-- name: read
SELECT listed.id, listed.url, listed.description, listed.event_types, listed.workflow_ids,
       listed.is_enabled, listed.active_since, listed.created_by, listed.created_at,
       listed.updated_at, state.failing_since, state.disabled_at, state.reason,
       CASE WHEN listed.previous_until > now() THEN listed.previous_until END AS previous_until
  FROM webhook_endpoints AS listed
  LEFT JOIN webhook_worker.published_endpoint_states AS state ON state.endpoint_id = listed.id
 WHERE listed.id = $1 AND listed.workspace = $2;

-- name: wish
INSERT INTO webhook_wishes (id, workspace, endpoint_id, kind, delivery_id, since)
VALUES ($1, $2, $3, $4, $5, $6)
RETURNING id;

-- name: list_deliveries
SELECT id, event_type, run_id, workflow_id, occurred_at, data, state, attempts, next_at,
       last_attempt_at, last_status, last_error, duration_ms, created_at, ended_at
  FROM webhook_worker.published_deliveries
 WHERE workspace = $1 AND endpoint_id = $2 AND (created_at, id) > ($3::timestamptz, $4::uuid)
   AND ($5::text IS NULL OR state = $5)
   AND ($6::timestamptz IS NULL OR created_at >= $6)
   AND ($7::timestamptz IS NULL OR created_at < $7)
 ORDER BY created_at ASC, id ASC
 LIMIT $8;

-- name: read_delivery
-- A test that the worker has not seen yet reads as one that is to be sent.
SELECT id, event_type, run_id, workflow_id, occurred_at, data, state, attempts, next_at,
       last_attempt_at, last_status, last_error, duration_ms, created_at, ended_at
  FROM webhook_worker.published_deliveries
 WHERE id = $3 AND workspace = $1 AND endpoint_id = $2
UNION ALL
SELECT id, 'webhook.test', NULL, NULL, created_at, jsonb_build_object('webhookId', endpoint_id),
       'pending', 0, created_at, NULL, NULL, NULL, NULL, created_at, NULL
  FROM webhook_wishes
 WHERE id = $3 AND workspace = $1 AND endpoint_id = $2 AND kind = 'test'
 LIMIT 1;

-- name: forget_wishes
-- What the worker has had a week to do.
DELETE FROM webhook_wishes WHERE created_at < now() - interval '8 days' RETURNING id;
