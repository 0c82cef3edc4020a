-- name: find_keys
-- Keys that may be used now, of those whose digests are asked for.
SELECT api_keys.digest, api_keys.id, api_keys.name, workspace, api_keys.role, api_keys.scopes,
       api_keys.workflow_ids, api_keys.rate_limit_per_minute,
       workspace_limits.rate_limit_per_minute AS workspace_limit
  FROM api_keys
  LEFT JOIN workspace_limits USING (workspace)
 WHERE digest = ANY ($1::bytea[])
   AND revoked_at IS NULL
   AND (expires_at IS NULL OR expires_at > now());

-- name: touch_keys
-- A key that somebody else is writing at the moment is left out, so that nobody waits.
UPDATE api_keys
   SET last_used_at = now()
 WHERE id IN (SELECT id FROM api_keys WHERE id = ANY ($1::uuid[]) FOR NO KEY UPDATE SKIP LOCKED);

-- name: add_key
INSERT INTO api_keys
       (workspace, name, hint, digest, role, scopes, workflow_ids, rate_limit_per_minute,
        expires_at, created_by, id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now() + $9::interval, $10, $11)
ON CONFLICT DO NOTHING
RETURNING id, workspace, name, hint, role, scopes, workflow_ids, rate_limit_per_minute,
          created_by, created_at, expires_at, revoked_at, last_used_at, replaced_by;

-- name: ensure_key
-- The key is there, usable, of this workspace and role afterwards; said again, nothing changes.
INSERT INTO api_keys (workspace, name, hint, digest, role)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (digest) DO UPDATE
   SET workspace = excluded.workspace, name = excluded.name, role = excluded.role, scopes = NULL,
       workflow_ids = NULL, revoked_at = NULL, expires_at = NULL
 WHERE (api_keys.workspace, api_keys.name, api_keys.role, api_keys.scopes, api_keys.workflow_ids,
        api_keys.revoked_at, api_keys.expires_at)
    IS DISTINCT FROM (excluded.workspace, excluded.name, excluded.role, NULL, NULL, NULL, NULL)
RETURNING id, workspace, name, hint, role, scopes, workflow_ids, rate_limit_per_minute, created_by,
          created_at, expires_at, revoked_at, last_used_at, replaced_by;

-- name: rotate_key
-- Put a new key in the place of one that may be used and has no successor. The old one works for
-- $5 more at most, all before it end now: so at most two of a family can be used at a time. The
-- row's lock lets only one of two rotations at once succeed.
WITH old AS (
    SELECT *
      FROM api_keys
     WHERE id = $1
       AND ($2::text IS NULL OR workspace = $2)
       AND revoked_at IS NULL
       AND (expires_at IS NULL OR expires_at > now())
       AND replaced_by IS NULL
       FOR UPDATE
), ended AS (
    UPDATE api_keys
       SET revoked_at = now()
      FROM old
     WHERE api_keys.family = old.family AND api_keys.id <> old.id AND api_keys.revoked_at IS NULL
), new AS (
    INSERT INTO api_keys
           (workspace, name, hint, digest, role, scopes, workflow_ids, rate_limit_per_minute,
            expires_at, created_by, family, id)
    SELECT workspace, name, $3, $4, role, scopes, workflow_ids, rate_limit_per_minute,
           now() + (expires_at - created_at), coalesce($6, created_by), family, $7
      FROM old
    RETURNING *
), replaced AS (
    UPDATE api_keys
       SET replaced_by = new.id, expires_at = least(api_keys.expires_at, now() + $5::interval)
      FROM new, old
     WHERE api_keys.id = old.id
)
SELECT id, workspace, name, hint, role, scopes, workflow_ids, rate_limit_per_minute, created_by,
       created_at, expires_at, revoked_at, last_used_at, replaced_by
  FROM new;

-- name: read_key
SELECT id, workspace, name, hint, role, scopes, workflow_ids, rate_limit_per_minute, created_by,
       created_at, expires_at, revoked_at, last_used_at, replaced_by
  FROM api_keys
 WHERE id = $1 AND workspace = $2;

-- name: list_keys
SELECT id, workspace, name, hint, role, scopes, workflow_ids, rate_limit_per_minute, created_by,
       created_at, expires_at, revoked_at, last_used_at, replaced_by
  FROM api_keys
 WHERE ($1::text IS NULL OR workspace = $1) AND (created_at, id) > ($2::timestamptz, $3::uuid)
   AND ($4::timestamptz IS NULL OR created_at >= $4)
   AND ($5::timestamptz IS NULL OR created_at < $5)
 ORDER BY created_at ASC, id ASC
 LIMIT $6;

-- name: revoke_key
-- `is_new`: it was not revoked before.
WITH old AS (
    SELECT id, revoked_at
      FROM api_keys
     WHERE id = $1 AND ($2::text IS NULL OR workspace = $2)
       FOR UPDATE
)
UPDATE api_keys
   SET revoked_at = coalesce(api_keys.revoked_at, now())
  FROM old
 WHERE api_keys.id = old.id
RETURNING api_keys.workspace, api_keys.name, api_keys.hint, old.revoked_at IS NULL AS is_new;

-- name: read_workspace_limits
SELECT workspace, rate_limit_per_minute FROM workspace_limits WHERE workspace = ANY ($1::text[]);

-- name: set_workspace_limit
INSERT INTO workspace_limits (workspace, rate_limit_per_minute) VALUES ($1, $2)
ON CONFLICT (workspace) DO UPDATE SET rate_limit_per_minute = excluded.rate_limit_per_minute;

-- name: drop_workspace_limit
DELETE FROM workspace_limits WHERE workspace = $1;
