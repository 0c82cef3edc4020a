-- name: save
-- Write a definition and its version. No row comes back where nothing differs from the newest
-- version, whatever the order of members. $9 are the nodes once more, in the order as written.
-- $10 are the versions of which one must be the newest, 0 for a workflow that is not yet; null
-- takes any. The conflict's row lock puts concurrent saves of one workflow in an order.
WITH saved AS (
    INSERT INTO workflow_definitions AS old
           (workspace, workflow_id, name, description, nodes, connections, triggers, created_by)
    SELECT $1, $2, $3, $4, $5::jsonb, $6::jsonb, $7::jsonb, $8
     WHERE $10::integer[] IS NULL
        OR 0 = ANY ($10)
        OR EXISTS (SELECT FROM workflow_definitions WHERE workspace = $1 AND workflow_id = $2)
    ON CONFLICT (workspace, workflow_id) DO UPDATE
       SET version = old.version + 1,
           name = excluded.name,
           description = excluded.description,
           nodes = excluded.nodes,
           connections = excluded.connections,
           triggers = excluded.triggers,
           updated_at = now()
     WHERE (old.name, old.description, old.nodes, old.connections, old.triggers)
        IS DISTINCT FROM (excluded.name, excluded.description, excluded.nodes,
                          excluded.connections, excluded.triggers)
       AND ($10 IS NULL OR old.version = ANY ($10))
    RETURNING *
), kept AS (
    INSERT INTO workflow_versions
           (workspace, workflow_id, version, name, description, nodes, connections, triggers,
            created_by)
    SELECT workspace, workflow_id, version, name, description, $9::json, connections, triggers, $8
      FROM saved
)
SELECT id, workflow_id, version, name, description, $9::json AS nodes, connections, triggers,
       is_active, created_by, created_at, updated_at
  FROM saved;

-- name: read
SELECT newest.id, newest.workflow_id, newest.version, newest.name, newest.description,
       written.nodes, newest.connections, newest.triggers, newest.is_active, newest.created_by,
       newest.created_at, newest.updated_at
  FROM workflow_definitions AS newest
  JOIN workflow_versions AS written USING (workspace, workflow_id, version)
 WHERE newest.workspace = $1 AND newest.workflow_id = $2;

-- name: set_active
-- No row comes back where it is so already.
UPDATE workflow_definitions
   SET is_active = $3
 WHERE workspace = $1 AND workflow_id = $2 AND is_active <> $3
RETURNING version;

-- name: exists
SELECT FROM workflow_definitions WHERE workspace = $1 AND workflow_id = $2;

-- name: list
SELECT workflow_id, version, name, description, is_active, created_at, updated_at
  FROM workflow_definitions
 WHERE workspace = $1 AND (created_at, workflow_id) > ($2::timestamptz, $3)
   AND ($4::text[] IS NULL OR workflow_id = ANY ($4))
   AND ($5::timestamptz IS NULL OR created_at >= $5)
   AND ($6::timestamptz IS NULL OR created_at < $6)
 ORDER BY created_at ASC, workflow_id ASC
 LIMIT $7;

-- name: read_version
SELECT workflow_id, version, name, description, nodes, connections, triggers, created_by,
       created_at
  FROM workflow_versions
 WHERE workspace = $1 AND workflow_id = $2 AND version = $3;

-- name: list_versions
SELECT workflow_id, version, name, created_by, created_at
  FROM workflow_versions
 WHERE workspace = $1 AND workflow_id = $2
   AND (version) > ($3::bigint)
   AND ($4::timestamptz IS NULL OR created_at >= $4)
   AND ($5::timestamptz IS NULL OR created_at < $5)
 ORDER BY version ASC
 LIMIT $6;

-- name: read_graphs
SELECT workspace, workflow_id, version, nodes, connections
  FROM workflow_versions
  JOIN unnest($1::text[], $2::text[], $3::integer[]) AS asked (workspace, workflow_id, version)
 USING (workspace, workflow_id, version);
