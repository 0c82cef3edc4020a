-- name: put
-- Nothing comes back where the credential is of another type: nodes that name it rely on that.
INSERT INTO credentials AS old
       (workspace, credential_id, type, name, summary, revision, data_key, sealed, created_by,
        updated_by)
VALUES ($1, $2, $3, $4, $5, gen_random_uuid(), $6, $7, $8, $8)
ON CONFLICT (workspace, credential_id) DO UPDATE
   SET name = excluded.name,
       summary = excluded.summary,
       revision = excluded.revision,
       data_key = excluded.data_key,
       sealed = excluded.sealed,
       updated_by = excluded.updated_by,
       updated_at = now()
 WHERE old.type = excluded.type
RETURNING credential_id, type, name, summary, created_by, created_at, updated_by, updated_at,
          xmax = 0 AS is_new;

-- name: read
SELECT credential_id, type, name, summary, created_by, created_at, updated_by, updated_at
  FROM credentials
 WHERE workspace = $1 AND credential_id = $2;

-- name: list
SELECT credential_id, type, name, summary, created_by, created_at, updated_by, updated_at
  FROM credentials
 WHERE workspace = $1 AND (created_at, credential_id) > ($2::timestamptz, $3)
   AND ($4::text IS NULL OR type = $4)
   AND ($5::timestamptz IS NULL OR created_at >= $5)
   AND ($6::timestamptz IS NULL OR created_at < $6)
 ORDER BY created_at ASC, credential_id ASC
 LIMIT $7;

-- name: delete
DELETE FROM credentials
 WHERE workspace = $1 AND credential_id = $2
RETURNING credential_id, type, name, summary, created_by, created_at, updated_by, updated_at;

-- name: types
SELECT credential_id, type
  FROM credentials
 WHERE workspace = $1 AND credential_id = ANY ($2::text[]);

-- name: find_data_key
SELECT id, key_id, wrapped
  FROM workspace_keys
 WHERE workspace = $1;

-- name: add_data_key
INSERT INTO workspace_keys (id, workspace, key_id, wrapped)
VALUES ($1, $2, $3, $4)
ON CONFLICT (workspace) DO NOTHING;

-- name: old_data_keys
SELECT id, workspace, key_id, wrapped
  FROM workspace_keys
 WHERE key_id <> $1 AND id > $2
 ORDER BY id
 LIMIT $3;

-- name: rewrap
-- Whoever wrapped a key anew meanwhile was first.
UPDATE workspace_keys AS old
   SET key_id = $1, wrapped = given.wrapped, wrapped_at = now()
  FROM unnest($2::uuid[], $3::bytea[], $4::bytea[]) AS given (id, before, wrapped)
 WHERE old.id = given.id AND old.wrapped = given.before
RETURNING old.id;
