-- The statements of the orchestrator's store.

-- name: load_runs
SELECT id, workspace, workflow_id, version, lead_id, created_at, revision, request, state,
       traceparent
  FROM runs
 WHERE id = ANY($1::uuid[]);

-- name: load_graph
SELECT graph FROM workflow_graphs WHERE workspace = $1 AND workflow_id = $2 AND version = $3;

-- Everything that a batch of events came to, in one statement and so in one transaction. A run
-- whose revision moved meanwhile (or that exists already, for a new one) is left out, with its
-- executions and what they count. Returns the runs that were written. `runs.updated_at` is the
-- time of this very transaction, however old the decision is: who follows all changes looks back
-- as far as a transaction may take.
-- name: write_batch
WITH graph AS (
    INSERT INTO workflow_graphs (workspace, workflow_id, version, graph)
    SELECT * FROM unnest($3::text[], $4::text[], $5::integer[], $6::json[])
    ON CONFLICT DO NOTHING
),
begun AS (
    INSERT INTO runs (id, workspace, workflow_id, version, lead_id, request, traceparent,
                      created_at, status, state, error, wake_at, ended_at, updated_at)
    SELECT new.*, now()
      FROM unnest($7::uuid[], $8::text[], $9::text[], $10::integer[], $11::text[], $12::json[],
                  $13::text[], $14::timestamptz[], $15::text[], $16::json[], $17::jsonb[],
                  $18::timestamptz[], $19::timestamptz[]) AS new
    ON CONFLICT (id) DO NOTHING
    RETURNING id, workspace, workflow_id, lead_id, traceparent
),
moved AS (
    UPDATE runs
       SET status = new.status, state = new.state, error = new.error, wake_at = new.wake_at,
           ended_at = CASE WHEN new.ended_at IS NOT NULL
                           THEN coalesce(runs.ended_at, new.ended_at) END,
           leased_until = NULL, updated_at = now(),
           revision = runs.revision + 1
      FROM unnest($20::uuid[], $21::integer[], $22::text[], $23::json[], $24::jsonb[],
                  $25::timestamptz[], $26::timestamptz[])
           AS new (id, revision, status, state, error, wake_at, ended_at)
     WHERE runs.id = new.id AND runs.revision = new.revision
    RETURNING runs.id, runs.workspace, runs.workflow_id, runs.lead_id, runs.traceparent
),
written AS (
    SELECT * FROM begun UNION ALL SELECT * FROM moved
),
execution AS MATERIALIZED (
    SELECT row.*, written.workspace, written.workflow_id, written.lead_id,
           substr(written.traceparent, 4, 32) AS trace_id
      FROM unnest($27::uuid[], $28::uuid[], $29::text[], $30::text[], $31::text[], $32::integer[],
                  $33::integer[], $34::integer[], $35::timestamptz[], $36::timestamptz[],
                  $37::bigint[], $38::jsonb[], $39::jsonb[], $40::timestamptz[],
                  $41::double precision[])
           AS row (run_id, id, node_id, connector_type, status, attempt, retry_count, max_retries,
                   start_time, end_time, duration_ms, error_details, output_data, created_at,
                   bucket)
      JOIN written ON written.id = row.run_id
),
logged AS (
    INSERT INTO execution_logs (
        id, execution_id, workspace, run_id, workflow_id, lead_id, node_id, connector_type,
        status, attempt, retry_count, max_retries, start_time, end_time, duration_ms,
        error_details, output_data, trace_id, created_at, updated_at)
    SELECT id, id::text, workspace, run_id, workflow_id, lead_id, node_id, connector_type,
           status, attempt, retry_count, max_retries, start_time, end_time, duration_ms,
           error_details, output_data, trace_id, created_at, $1
      FROM execution
    ON CONFLICT (id) DO UPDATE
       SET status = excluded.status, attempt = excluded.attempt,
           retry_count = excluded.retry_count, start_time = excluded.start_time,
           end_time = excluded.end_time, duration_ms = excluded.duration_ms,
           error_details = excluded.error_details, output_data = excluded.output_data,
           updated_at = excluded.updated_at
),
counted AS (
    INSERT INTO execution_totals AS total (instance, workspace, workflow_id, connector_type,
                                           status, bucket, executions, duration_seconds)
    SELECT $2, workspace, workflow_id, connector_type, status, bucket, count(*),
           coalesce(sum(duration_ms), 0) / 1000.0
      FROM execution
     WHERE bucket IS NOT NULL
     GROUP BY workspace, workflow_id, connector_type, status, bucket
     ORDER BY workspace, workflow_id, connector_type, status, bucket
    ON CONFLICT (instance, workspace, workflow_id, connector_type, status, bucket) DO UPDATE
       SET executions = total.executions + excluded.executions,
           duration_seconds = total.duration_seconds + excluded.duration_seconds
)
SELECT id FROM written;

-- name: find_tables
SELECT FROM runs, execution_logs, execution_totals, workflow_graphs LIMIT 0;

-- name: read_clock
SELECT clock_timestamp();

-- Whatever looks for due runs says now(), since clock_timestamp(), as volatile, keeps the index
-- out; and = ANY (ARRAY ...), since a join may go through all runs that ever were.

-- What runs keep whose leads were erased.
-- name: forget_requests
UPDATE runs SET request = given.request
  FROM unnest($1::uuid[], $2::json[]) AS given (id, request)
 WHERE runs.id = given.id;

-- name: strip_executions
UPDATE execution_logs
   SET output_data = NULL,
       error_details = CASE WHEN error_details IS NOT NULL THEN
           jsonb_strip_nulls(jsonb_build_object(
               'code', error_details -> 'code', 'outcome', error_details -> 'outcome',
               'message', $2::text)) END
 WHERE run_id = ANY ($1::uuid[])
   AND (output_data IS NOT NULL OR error_details ->> 'code' <> 'lead_erased');

-- Takes due wake-ups and keeps other pollers from them for a while: five seconds, and the longer
-- the later the run is, since then its wake-up waits in Kafka behind much else.
-- name: lease_due
UPDATE runs
   SET leased_until = now() + least(greatest(now() - wake_at, interval '5 s'),
                                    interval '60 s')
 WHERE id = ANY (ARRAY (SELECT id
                          FROM runs
                         WHERE wake_at IS NOT NULL AND greatest(wake_at, leased_until) <= now()
                         ORDER BY greatest(wake_at, leased_until)
                         LIMIT $1
                           FOR NO KEY UPDATE SKIP LOCKED))
RETURNING id, workspace, wake_at, traceparent, leased_until;

-- name: give_back
UPDATE runs
   SET leased_until = NULL
  FROM unnest($1::uuid[], $2::timestamptz[]) AS given (id, until)
 WHERE runs.id = given.id AND runs.leased_until = given.until;

-- name: read_next_due
SELECT clock_timestamp() AS now,
       (SELECT greatest(wake_at, leased_until)
          FROM runs
         WHERE wake_at IS NOT NULL
         ORDER BY greatest(wake_at, leased_until)
         LIMIT 1) AS due_at;

-- Runs that nothing has moved although their time came long ago; their leases, which are 60 s at
-- most, are taken back.
-- name: wake_overdue
UPDATE runs
   SET leased_until = NULL
 WHERE id = ANY (ARRAY (SELECT id
                          FROM runs
                         WHERE greatest(wake_at, leased_until) > now()
                           AND greatest(wake_at, leased_until) <= now() + interval '60 s'
                           AND wake_at < now() - $1::interval
                         ORDER BY wake_at
                         LIMIT $2
                           FOR NO KEY UPDATE SKIP LOCKED))
RETURNING id;

-- A page of the runs that wait for a person. Their ids first, which are few beside all runs; the
-- requests, which may be large, of the page alone.
-- name: list_resting
WITH resting AS MATERIALIZED (
    SELECT id FROM runs WHERE status IN ('paused', 'unconfirmed')
)
SELECT id, workspace, request #>> '{lead,sealed,key}' AS key_id
  FROM runs
 WHERE id = ANY (ARRAY (SELECT id FROM resting WHERE id > $1 ORDER BY id LIMIT $2))
 ORDER BY id;

-- name: wake_resting
UPDATE runs
   SET wake_at = least(wake_at, now())
 WHERE id = ANY ($1::uuid[]) AND status IN ('paused', 'unconfirmed');

-- name: survey_runs
SELECT count(*) AS due,
       coalesce(extract(epoch FROM max(now() - wake_at)), 0)::double precision AS late,
       count(*) FILTER (WHERE leased_until > now()) AS leased
  FROM runs
 WHERE greatest(wake_at, leased_until) <= now() + interval '60 s' AND wake_at <= now();

-- name: count_resting
SELECT status, count(*) AS count
  FROM runs
 WHERE status IN ('paused', 'unconfirmed') AND status = ANY ($1::text[])
 GROUP BY status;
