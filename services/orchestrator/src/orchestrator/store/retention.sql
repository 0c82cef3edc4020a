-- The statements of retention.

-- A page of runs in the order of their ids, which is that of the times at which they were asked
-- for: so the primary key finds the oldest, and a run that could not have ended long enough ago is
-- not looked at. Whoever else holds one of them keeps it for now; one that was revived a moment ago
-- has no end any more when it is locked. All that hangs on those that ended goes with them, in one
-- statement and so in one transaction.
-- name: remove_ended
WITH page AS MATERIALIZED (
    SELECT id
      FROM runs
     WHERE id > $2
       AND id < rpad(lpad(to_hex((extract(epoch FROM now() - $1::interval) * 1000)::bigint),
                          12, '0'), 32, '0')::uuid
     ORDER BY id
     LIMIT $3
),
ended AS MATERIALIZED (
    SELECT id
      FROM runs
     WHERE id = ANY (ARRAY (SELECT id FROM page))
       AND ended_at < now() - $1::interval
       FOR UPDATE SKIP LOCKED
),
run AS (
    DELETE FROM runs WHERE id = ANY (ARRAY (SELECT id FROM ended)) RETURNING 1
),
execution AS (
    DELETE FROM execution_logs WHERE run_id = ANY (ARRAY (SELECT id FROM ended)) RETURNING 1
),
letter AS (
    DELETE FROM dead_letters WHERE run_id = ANY (ARRAY (SELECT id FROM ended)) RETURNING 1
)
SELECT (SELECT count(*) FROM page) AS seen,
       (SELECT id FROM page ORDER BY id DESC LIMIT 1) AS last_id,
       (SELECT count(*) FROM run) AS runs,
       (SELECT count(*) FROM execution) AS executions,
       (SELECT count(*) FROM letter) AS letters;
