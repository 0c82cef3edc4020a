-- The one way in which connectors read accounts: the view that the gateway publishes.

-- name: look
SELECT found.workspace, found.credential_id, found.type, found.revision, found.sealed,
       found.data_key, found.key_id, found.wrapped
FROM unnest($1::text[], $2::text[]) AS wanted (workspace, credential_id)
JOIN gateway.published_credentials AS found USING (workspace, credential_id)
WHERE found.type = $3;
