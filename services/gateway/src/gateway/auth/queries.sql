-- name: find_keys
-- Keys that may be used now, of those whose digests are asked for.
SELECT digest, id, name, workspace, rate_limit_per_minute
  FROM api_keys
 WHERE digest = ANY ($1::bytea[])
   AND revoked_at IS NULL
   AND (expires_at IS NULL OR expires_at > now());

-- name: add_key
INSERT INTO api_keys (workspace, name, hint, digest, rate_limit_per_minute, expires_at)
VALUES ($1, $2, $3, $4, $5, now() + $6::interval)
ON CONFLICT DO NOTHING
RETURNING id;

-- name: ensure_key
-- The key is there, usable and of this workspace afterwards; said again, nothing changes.
INSERT INTO api_keys (workspace, name, hint, digest)
VALUES ($1, $2, $3, $4)
ON CONFLICT (digest) DO UPDATE
   SET workspace = excluded.workspace, name = excluded.name, revoked_at = NULL, expires_at = NULL
RETURNING id;

-- name: list_keys
SELECT id, workspace, name, hint, rate_limit_per_minute, created_at, expires_at, revoked_at
  FROM api_keys
 WHERE $1::text IS NULL OR workspace = $1
 ORDER BY created_at, id;

-- name: revoke_key
UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1 RETURNING id;
