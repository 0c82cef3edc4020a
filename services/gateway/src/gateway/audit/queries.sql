-- name: record
-- Part of the transaction that changes something, and no row that another one waits for.
INSERT INTO audit_inbox
       (workspace, actor_kind, actor_id, actor_name, address, action, object_id, before, after)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: record_many
INSERT INTO audit_inbox
       (workspace, actor_kind, actor_id, actor_name, address, action, object_id, before, after)
SELECT workspace, actor_kind, actor_id, actor_name, address, action, object_id,
       nullif(before, 'null'), nullif(after, 'null')
  FROM jsonb_to_recordset($1) AS given (
       workspace text, actor_kind text, actor_id text, actor_name text, address text, action text,
       object_id text, before jsonb, after jsonb);

-- name: is_waiting
SELECT EXISTS (SELECT FROM audit_inbox) AS is_waiting;

-- name: lock_chains
-- One process at a time makes chains longer.
SELECT pg_advisory_xact_lock(hashtextextended('mirsal.audit', 0));

-- name: find_waiting
SELECT id, workspace, at, actor_kind, actor_id, actor_name, address, action, object_id, before,
       after
  FROM audit_inbox
 ORDER BY id
 LIMIT $1;

-- name: find_heads
SELECT workspace, seq, hash
  FROM unnest($1::text[]) AS asked (name)
 CROSS JOIN LATERAL (
       SELECT workspace, seq, hash FROM audit_log WHERE workspace = name ORDER BY seq DESC LIMIT 1
       ) AS head;

-- name: append
WITH taken AS (
    DELETE FROM audit_inbox
     USING unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bytea[])
           AS link (id, seq, previous, hash)
     WHERE audit_inbox.id = link.id
    RETURNING workspace, seq, at, actor_kind, actor_id, actor_name, address, action, object_id,
              before, after, previous, hash
)
INSERT INTO audit_log
       (workspace, seq, at, actor_kind, actor_id, actor_name, address, action, object_id, before,
        after, previous, hash)
SELECT workspace, seq, at, actor_kind, actor_id, actor_name, address, action, object_id, before,
       after, previous, hash
  FROM taken;

-- name: list
SELECT workspace, seq, at, actor_kind, actor_id, actor_name, address, action, object_id, before,
       after, previous, hash
  FROM audit_log
 WHERE workspace = $1
   AND (seq) > ($2::bigint)
   AND ($3::text IS NULL OR action = $3)
   AND ($4::text IS NULL OR object_id = $4)
   AND ($5::text IS NULL OR actor_id = $5)
   AND ($6::timestamptz IS NULL OR at >= $6)
   AND ($7::timestamptz IS NULL OR at < $7)
 ORDER BY seq ASC
 LIMIT $8;

-- name: list_workspaces
-- One look at the index for each workspace, however many rows it has.
WITH RECURSIVE found AS (
    (SELECT workspace FROM audit_log ORDER BY workspace LIMIT 1)
    UNION ALL
    SELECT (SELECT audit_log.workspace
              FROM audit_log
             WHERE audit_log.workspace > found.workspace
             ORDER BY audit_log.workspace
             LIMIT 1)
      FROM found
     WHERE found.workspace IS NOT NULL
)
SELECT workspace FROM found WHERE workspace IS NOT NULL;
