-- The one way in which services read accounts and leads' keys: the views that the gateway
-- publishes.

-- name: look
SELECT found.workspace, found.credential_id, found.type, found.revision, found.sealed,
       found.data_key, found.key_id, found.wrapped
FROM unnest($1::text[], $2::text[]) AS wanted (workspace, credential_id)
JOIN gateway.published_credentials AS found USING (workspace, credential_id)
WHERE found.type = $3;

-- name: look_for_lead_keys
SELECT id, workspace, lead_id, wrapped, data_key, data_key_wrapped, key_id
  FROM gateway.published_lead_keys
 WHERE id = ANY ($1::uuid[]);
