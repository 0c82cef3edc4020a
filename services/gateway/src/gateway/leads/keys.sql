-- name: lock_keys
-- Whoever erases one of these leads waits.
SELECT id, lead_id, wrapped
  FROM lead_keys
 WHERE workspace = $1 AND lead_id = ANY ($2::text[])
 ORDER BY lead_id
   FOR KEY SHARE;

-- name: add_keys
-- Sorted, so that two imports cannot wait for each other.
INSERT INTO lead_keys (workspace, data_key, lead_id, id, wrapped)
SELECT $1, $2, given.*
  FROM unnest($3::text[], $4::uuid[], $5::bytea[]) AS given (lead_id, id, wrapped)
 ORDER BY lead_id
ON CONFLICT (workspace, lead_id) DO NOTHING;
