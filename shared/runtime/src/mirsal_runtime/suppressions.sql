-- Whom workspaces may not write to, as the gateway publishes it: each connector's role sees its own
-- channel.

-- name: policies
SELECT workspace, only_listed, data_key, key_id, wrapped
  FROM gateway.published_sending_policies;

-- name: find
SELECT found.workspace, found.address_index, found.kind
  FROM unnest($1::text[], $2::bytea[]) AS wanted (workspace, address_index)
  JOIN gateway.published_suppressions AS found USING (workspace, address_index);
