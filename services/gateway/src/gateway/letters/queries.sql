-- name: list_letters
SELECT letter_id, connector, topic, partition, position, letter_topic, letter_partition,
       letter_position, reason, text, type, run_id, execution_id, workflow_id, node_id, lead_id,
       attempt, coalesce(length(value), 0) AS payload_bytes, died_at, replayed_by, replayed_at,
       outcome
  FROM orchestrator.published_dead_letters
 WHERE workspace = $1
   AND (died_at, letter_id) > ($2::timestamptz, $3::uuid)
   AND ($4::text[] IS NULL OR workflow_id = ANY ($4))
   AND ($5::text IS NULL OR connector = $5)
   AND ($6::text IS NULL OR topic = $6)
   AND ($7::text IS NULL OR workflow_id = $7)
   AND ($8::uuid IS NULL OR run_id = $8)
   AND ($9::text IS NULL OR lead_id = $9)
   AND ($10::text IS NULL OR reason = $10)
   AND ($11::boolean IS NULL OR (replayed_at IS NOT NULL) = $11)
   AND ($12::timestamptz IS NULL OR died_at >= $12)
   AND ($13::timestamptz IS NULL OR died_at < $13)
 ORDER BY died_at ASC, letter_id ASC
 LIMIT $14;

-- name: read_letter
SELECT letter_id, connector, topic, partition, position, letter_topic, letter_partition,
       letter_position, reason, text, type, run_id, execution_id, workflow_id, node_id, lead_id,
       attempt, coalesce(length(value), 0) AS payload_bytes, died_at, replayed_by, replayed_at,
       outcome, key, value, headers, whole_bytes
  FROM orchestrator.published_dead_letters
 WHERE workspace = $1 AND letter_id = $2;

-- name: read_replays
SELECT replay_id, requested_by, requested_at, replayed_at, outcome
  FROM (SELECT replay_id, requested_by, requested_at, replayed_at, outcome
          FROM orchestrator.published_dead_letter_replays
         WHERE workspace = $1 AND letter_id = $2
         ORDER BY replayed_at DESC, replay_id DESC
         LIMIT 50) AS last_ones
 ORDER BY replayed_at, replay_id;

-- name: count_letters
SELECT connector, count(*) AS letters
  FROM orchestrator.published_dead_letters
 WHERE replayed_at IS NULL
 GROUP BY connector;
