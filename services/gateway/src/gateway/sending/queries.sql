-- name: save
-- With its first address a workspace has a policy, which is how connectors know of it. Nothing comes
-- back where the address is denied and would be allowed: who said no is not listed by an import.
WITH ruled AS (
    INSERT INTO sending_policies (workspace, channel, data_key)
    VALUES ($2, $3, $8)
        ON CONFLICT (workspace, channel) DO NOTHING
)
INSERT INTO suppressions AS old
       (id, workspace, channel, kind, address_index, masked, reason, created_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $9)
ON CONFLICT (address_index, workspace, channel) DO UPDATE
   SET kind = excluded.kind,
       reason = excluded.reason
 WHERE old.kind = 'allow' OR excluded.kind = 'deny'
RETURNING id, channel, kind, masked, reason, created_by, created_at;

-- name: save_many
-- As `save`, in an order in which two imports wait for each other once. What did not come back is
-- denied.
WITH ruled AS (
    INSERT INTO sending_policies (workspace, channel, data_key)
    SELECT DISTINCT $1::text, channel, $7::uuid
      FROM unnest($2::text[]) AS given (channel)
     ORDER BY channel
        ON CONFLICT (workspace, channel) DO NOTHING
)
INSERT INTO suppressions AS old
       (id, workspace, channel, kind, address_index, masked, reason, created_by)
SELECT gen_random_uuid(), $1, given.*, $8
  FROM unnest($2::text[], $3::text[], $4::bytea[], $5::text[], $6::text[])
       AS given (channel, kind, address_index, masked, reason)
 ORDER BY given.address_index
ON CONFLICT (address_index, workspace, channel) DO UPDATE
   SET kind = excluded.kind,
       reason = excluded.reason
 WHERE old.kind = 'allow' OR excluded.kind = 'deny'
RETURNING address_index;

-- name: find
SELECT id, channel, kind, masked, reason, created_by, created_at
  FROM suppressions
 WHERE workspace = $1 AND channel = $2 AND address_index = $3;

-- name: list
SELECT id, channel, kind, masked, reason, created_by, created_at
  FROM suppressions
 WHERE workspace = $1 AND (created_at, id) > ($2::timestamptz, $3::uuid)
   AND ($4::text IS NULL OR channel = $4)
   AND ($5::text IS NULL OR kind = $5)
   AND ($6::timestamptz IS NULL OR created_at >= $6)
   AND ($7::timestamptz IS NULL OR created_at < $7)
 ORDER BY created_at ASC, id ASC
 LIMIT $8;

-- name: remove
DELETE FROM suppressions
 WHERE workspace = $1 AND id = $2
RETURNING id, channel, kind, masked, reason, created_by, created_at;

-- name: policies
SELECT channel, only_listed, updated_by, updated_at
  FROM sending_policies
 WHERE workspace = $1;

-- name: save_policy
INSERT INTO sending_policies (workspace, channel, only_listed, data_key, updated_by, updated_at)
VALUES ($1, $2, $3, $4, $5, now())
ON CONFLICT (workspace, channel) DO UPDATE
   SET only_listed = excluded.only_listed,
       updated_by = excluded.updated_by,
       updated_at = excluded.updated_at
RETURNING channel, only_listed, updated_by, updated_at;
