-- The one way in which services read accounts and leads' keys: the views that the gateway
-- publishes.

-- name: look
-- No join: the view is a barrier, and joined with what is wanted it would be read as a whole. So it
-- gives each id in each workspace that is asked about; who asks takes what is wanted.
SELECT workspace, credential_id, type, revision, sealed, data_key, key_id, wrapped
  FROM gateway.published_credentials
 WHERE workspace = ANY ($1::text[]) AND credential_id = ANY ($2::text[]) AND type = $3;

-- name: look_for_lead_keys
SELECT id, workspace, lead_id, wrapped, data_key, data_key_wrapped, key_id
  FROM gateway.published_lead_keys
 WHERE id = ANY ($1::uuid[]);
