-- The statements of mirsal_runtime.postgres_ledger. Arrays are sorted by key, no key twice.
-- `claim` and `settle` answer for those only that they could not write, by their place in the
-- arrays: nearly always there are none.

-- name: claim
-- $1 holder; arrays: run_id, node_id, iteration, attempt, token, deadline, lease_seconds, workspace
WITH asked AS MATERIALIZED (
    SELECT *
      FROM unnest($2::uuid[], $3::text[], $4::int[], $5::int[], $6::bigint[], $7::timestamptz[],
                  $8::float8[], $9::text[])
           WITH ORDINALITY AS a (run_id, node_id, iteration, attempt, token, deadline,
                                 lease_seconds, workspace, number)
), claimed AS (
    INSERT INTO ledger AS kept (run_id, node_id, iteration, attempt, state, holder, token,
                                leased_until, touched_at, workspace)
    SELECT run_id, node_id, iteration, attempt, 'open', $1, token,
           clock_timestamp() + lease_seconds * interval '1 second', clock_timestamp(), workspace
      FROM asked
     WHERE deadline > clock_timestamp()
     ORDER BY run_id, node_id, iteration
        ON CONFLICT (run_id, node_id, iteration) DO UPDATE
       SET attempt = excluded.attempt, state = 'open', holder = excluded.holder,
           token = excluded.token, leased_until = excluded.leased_until,
           touched_at = excluded.touched_at, status = NULL
     WHERE (kept.attempt < excluded.attempt AND kept.state IN ('free', 'failed', 'unconfirmed'))
        OR (kept.attempt = excluded.attempt
            AND (kept.state = 'free'
                 OR (kept.state = 'open' AND kept.holder = excluded.holder
                     AND kept.token = excluded.token)))
    RETURNING run_id, node_id, iteration
)
SELECT asked.number, asked.deadline <= clock_timestamp() AS expired,
       kept.attempt, kept.state, kept.holder, kept.token,
       kept.leased_until <= clock_timestamp() AS lease_over, kept.status
  FROM asked
  LEFT JOIN claimed USING (run_id, node_id, iteration)
  LEFT JOIN ledger AS kept USING (run_id, node_id, iteration)
 WHERE claimed.run_id IS NULL;

-- name: settle
-- $1 holder; arrays: run_id, node_id, iteration, attempt, token, state, status, workspace
WITH asked AS MATERIALIZED (
    SELECT *
      FROM unnest($2::uuid[], $3::text[], $4::int[], $5::int[], $6::bigint[], $7::text[],
                  $8::bytea[], $9::text[])
           WITH ORDINALITY AS a (run_id, node_id, iteration, attempt, token, state, status,
                                 workspace, number)
), settled AS (
    INSERT INTO ledger AS kept (run_id, node_id, iteration, attempt, state, holder, token,
                                leased_until, touched_at, status, workspace)
    SELECT run_id, node_id, iteration, attempt, state, $1, token, clock_timestamp(),
           clock_timestamp(), status, workspace
      FROM asked
     ORDER BY run_id, node_id, iteration
        ON CONFLICT (run_id, node_id, iteration) DO UPDATE
       SET attempt = excluded.attempt, state = excluded.state, holder = excluded.holder,
           token = excluded.token, touched_at = excluded.touched_at, status = excluded.status
     WHERE (kept.attempt < excluded.attempt AND kept.state IN ('free', 'failed', 'unconfirmed'))
        OR (kept.attempt = excluded.attempt
            AND (kept.state = 'free'
                 OR (kept.holder = excluded.holder AND kept.token = excluded.token
                     AND (kept.state = 'open'
                          OR (kept.state = 'unconfirmed' AND excluded.state <> 'unconfirmed')))))
    RETURNING run_id, node_id, iteration
)
SELECT asked.number, false AS expired,
       kept.attempt, kept.state, kept.holder, kept.token,
       kept.leased_until <= clock_timestamp() AS lease_over, kept.status
  FROM asked
  LEFT JOIN settled USING (run_id, node_id, iteration)
  LEFT JOIN ledger AS kept USING (run_id, node_id, iteration)
 WHERE settled.run_id IS NULL;

-- name: look
-- arrays: run_id, node_id, iteration, attempt
SELECT asked.number, false AS expired,
       kept.attempt, kept.state, kept.holder, kept.token,
       kept.leased_until <= clock_timestamp() AS lease_over, kept.status
  FROM unnest($1::uuid[], $2::text[], $3::int[], $4::int[])
       WITH ORDINALITY AS asked (run_id, node_id, iteration, attempt, number)
  LEFT JOIN ledger AS kept USING (run_id, node_id, iteration)
 ORDER BY asked.number;

-- name: take_over
UPDATE ledger
   SET state = 'unconfirmed', touched_at = clock_timestamp()
 WHERE run_id = $1 AND node_id = $2 AND iteration = $3 AND attempt = $4
   AND holder = $5 AND state = 'open' AND leased_until <= clock_timestamp()
RETURNING true;

-- name: resolve
-- arrays: run_id, node_id, iteration, attempt, token, holder, state, status
UPDATE ledger AS kept
   SET state = asked.state, status = asked.status, touched_at = clock_timestamp()
  FROM unnest($1::uuid[], $2::text[], $3::int[], $4::int[], $5::bigint[], $6::uuid[], $7::text[],
              $8::bytea[])
       WITH ORDINALITY AS asked (run_id, node_id, iteration, attempt, token, holder, state, status,
                                 number)
 WHERE kept.run_id = asked.run_id AND kept.node_id = asked.node_id
   AND kept.iteration = asked.iteration AND kept.attempt = asked.attempt
   AND kept.holder = asked.holder AND kept.token = asked.token
   AND (kept.state = 'open'
        OR (kept.state = 'unconfirmed' AND asked.state IN ('succeeded', 'failed')))
RETURNING asked.number;

-- name: beat
WITH mine AS (
    INSERT INTO ledger_holders AS kept (holder, instance, beat, beaten_at)
    VALUES ($1, $2, 1, clock_timestamp())
        ON CONFLICT (holder) DO UPDATE SET beat = kept.beat + 1, beaten_at = clock_timestamp()
)
SELECT holder, beat, clock_timestamp() AS now FROM ledger_holders WHERE holder <> $1
UNION ALL
SELECT NULL, 0, clock_timestamp();

-- name: leave
DELETE FROM ledger_holders WHERE holder = $1;

-- name: forget
-- now() and not clock_timestamp(), which as a volatile function keeps the index out.
DELETE FROM ledger
 WHERE ctid = ANY (ARRAY (SELECT ctid FROM ledger
                           WHERE touched_at < now() - $1 * interval '1 second'
                           LIMIT $2));

-- name: forget_holders
DELETE FROM ledger_holders WHERE beaten_at < now() - $1 * interval '1 second';
