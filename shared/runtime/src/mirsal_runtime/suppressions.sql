-- Whom workspaces may not write to, as the gateway publishes it: each connector's role sees its own
-- channel.

-- name: policies
SELECT workspace, only_listed, data_key, key_id, wrapped
  FROM gateway.published_sending_policies;

-- name: find
-- Two workspaces have no index in common. No join, and no other condition: the view is a barrier, and
-- while there are few addresses another index would look as good, which it is not with a million.
SELECT workspace, address_index, kind
  FROM gateway.published_suppressions
 WHERE address_index = ANY ($1::bytea[]);
