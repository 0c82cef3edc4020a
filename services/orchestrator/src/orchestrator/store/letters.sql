-- The statements of the dead letters' store.

-- name: read_places
SELECT topic, partition, next_offset FROM dead_letter_places;

-- The letters and how far their topics were read, in one statement and so in one transaction. A
-- copy of a letter has its id, and is left out.
-- name: keep_letters
WITH kept AS (
    INSERT INTO dead_letters (
        id, workspace, connector, topic, partition, position, letter_topic, letter_partition,
        letter_position, reason, text, died_at, type, run_id, execution_id, workflow_id, node_id,
        lead_id, attempt, key, value, headers, whole_bytes)
    SELECT * FROM unnest(
        $1::uuid[], $2::text[], $3::text[], $4::text[], $5::integer[], $6::bigint[], $7::text[],
        $8::integer[], $9::bigint[], $10::text[], $11::text[], $12::timestamptz[], $13::text[],
        $14::uuid[], $15::text[], $16::text[], $17::text[], $18::text[], $19::integer[],
        $20::bytea[], $21::bytea[], $22::jsonb[], $23::integer[])
    ON CONFLICT (id) DO NOTHING
    RETURNING 1
),
placed AS (
    INSERT INTO dead_letter_places (topic, partition, next_offset)
    SELECT * FROM unnest($24::text[], $25::integer[], $26::bigint[])
    ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset
)
SELECT count(*) FROM kept;

-- name: count_letters
SELECT connector, count(*) AS letters
  FROM dead_letters
 WHERE replayed_at IS NULL
 GROUP BY connector;

-- name: load_letters
SELECT id, workspace, topic, partition, position, key, value, headers, run_id, execution_id,
       node_id, attempt
  FROM dead_letters
 WHERE id = ANY ($1::uuid[]);

-- A replay's end is written once; a letter shows its last one.
-- name: mark_letters
WITH replay AS (
    INSERT INTO dead_letter_replays (
        letter_id, workspace, replay_id, requested_by, requested_at, outcome)
    SELECT given.*
      FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::text[])
           AS given (letter_id, workspace, replay_id, requested_by, requested_at, outcome)
      JOIN dead_letters AS letter ON letter.id = given.letter_id
                                 AND letter.workspace = given.workspace
    ON CONFLICT (letter_id, replay_id) DO NOTHING
    RETURNING letter_id, replay_id, requested_by, requested_at, replayed_at, outcome
)
UPDATE dead_letters
   SET replayed_by = replay.requested_by, replayed_at = replay.replayed_at,
       outcome = replay.outcome
  FROM replay
 WHERE dead_letters.id = replay.letter_id;

-- Runs whose own request could not be dealt with: they have ended without a single execution.
-- name: forget_stillborn
DELETE FROM runs
 WHERE id = ANY ($1::uuid[])
   AND status = 'failed'
   AND error ->> 'code' IN ('unreadable_request', 'unstorable', 'internal_error')
   AND NOT EXISTS (SELECT FROM execution_logs WHERE execution_logs.run_id = runs.id);

-- name: forget_letters
DELETE FROM dead_letters
 WHERE id = ANY (ARRAY (SELECT id
                          FROM dead_letters
                         WHERE died_at < now() - $1::interval
                         ORDER BY died_at
                         LIMIT $2))
RETURNING 1;

-- Whatever died of the leads of these runs.
-- name: forget_letters_of_leads
DELETE FROM dead_letters AS letter
 USING runs
 WHERE runs.id = ANY ($1::uuid[])
   AND (letter.run_id = runs.id
        OR (letter.workspace = runs.workspace AND letter.lead_id = runs.lead_id
            AND letter.lead_id <> ''));
