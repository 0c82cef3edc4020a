-- name: open_job
-- None where the workspace has as many open jobs as it may.
INSERT INTO jobs (id, workspace, kind, workflow_id, request, created_by, expires_at, traceparent)
SELECT $1, $2, $3, $4, $5, $6, now() + $7::interval, $9
 WHERE (SELECT count(*)
          FROM jobs
         WHERE workspace = $2 AND status IN ('receiving', 'queued', 'running')) < $8
RETURNING id;

-- name: add_part
INSERT INTO job_parts (job_id, workspace, number, first, body, data_key)
SELECT id, workspace, $3, $4, $5, $6 FROM jobs WHERE workspace = $1 AND id = $2
RETURNING number;

-- The first call with a key has its job queued, every later one gets that job.
-- name: queue_job
WITH earlier AS (
    SELECT id, body_hash
      FROM jobs
     WHERE workspace = $1 AND kind = $3 AND idempotency_key = $4
),
queued AS (
    UPDATE jobs
       SET status = 'queued', idempotency_key = $4, body_hash = $5, total = $6, request = $7,
           updated_at = now(), expires_at = now() + $8::interval
     WHERE workspace = $1 AND id = $2 AND status = 'receiving' AND NOT EXISTS (SELECT FROM earlier)
    RETURNING id, body_hash
)
SELECT id, body_hash FROM earlier UNION ALL SELECT id, body_hash FROM queued;

-- name: drop_job
DELETE FROM jobs WHERE workspace = $1 AND id = $2 AND status = 'receiving';

-- name: read_job
SELECT id, kind, status, workflow_id, total, done, failed, created, updated, error, created_by,
       created_at, started_at, updated_at, ended_at
  FROM jobs
 WHERE workspace = $1 AND id = $2 AND status <> 'receiving';

-- name: list_jobs
SELECT id, kind, status, workflow_id, total, done, failed, created, updated, error, created_by,
       created_at, started_at, updated_at, ended_at
  FROM jobs
 WHERE workspace = $1
   AND status <> 'receiving'
   AND (created_at, id) > ($2::timestamptz, $3::uuid)
   AND ($4::text[] IS NULL OR workflow_id IS NULL OR workflow_id = ANY ($4))
   AND ($5::text IS NULL OR kind = $5)
   AND ($6::text IS NULL OR status = $6)
   AND ($7::timestamptz IS NULL OR created_at >= $7)
   AND ($8::timestamptz IS NULL OR created_at < $8)
 ORDER BY created_at ASC, id ASC
 LIMIT $9;

-- name: list_faults
SELECT line, number, pointer, message
  FROM job_faults
 WHERE workspace = $1 AND job_id = $2 AND (line, number) > ($3, $4)
 ORDER BY line ASC, number ASC
 LIMIT $5;

-- The leads for which a job of starts has started a run: of the parts, and of the leads of the one
-- that is under way, that are done with, all that are no faults.
-- name: list_started
SELECT line, lead_id
  FROM (SELECT (part.first + given.position)::integer AS line, given.lead_id
          FROM jobs
          JOIN job_parts AS part ON part.job_id = jobs.id
         CROSS JOIN LATERAL jsonb_array_elements_text(
               CASE WHEN jobs.kind = 'runs_start' THEN convert_from(part.body, 'UTF8')::jsonb
                    ELSE '[]'
                END) WITH ORDINALITY AS given (lead_id, position)
         WHERE jobs.workspace = $1
           AND jobs.id = $2
           AND (part.number, given.position) <= (
               CASE WHEN jobs.kind = 'runs_start'
                    THEN nullif(split_part(jobs.place, '/', 1), '')::integer
                END,
               coalesce(nullif(split_part(jobs.place, '/', 2), ''), '0')::integer)) AS leads
 WHERE (line) > ($3::bigint)
   AND NOT EXISTS (SELECT FROM job_faults WHERE job_id = $2 AND job_faults.line = leads.line)
 ORDER BY line ASC
 LIMIT $4;

-- A job that has ended keeps nothing of what it was given.
-- name: cancel_job
UPDATE jobs
   SET status = 'cancelled', ended_at = now(), updated_at = now(), lease = NULL,
       request = request - ARRAY['input', 'sealed']
 WHERE workspace = $1 AND id = $2 AND status IN ('queued', 'running')
RETURNING id;

-- The job that was worked on the longest ago and that nobody works on.
-- name: lease_job
UPDATE jobs
   SET lease = $1, leased_until = now() + $2::interval, status = 'running', updated_at = now(),
       started_at = coalesce(started_at, now())
 WHERE id = (SELECT id
               FROM jobs
              WHERE status IN ('queued', 'running')
                AND (leased_until IS NULL OR leased_until < now())
                AND expires_at > now()
              ORDER BY updated_at
              LIMIT 1
                FOR UPDATE SKIP LOCKED)
RETURNING id, workspace, kind, workflow_id, request, created_by, created_at, place, traceparent;

-- name: read_part
SELECT first, body, data_key FROM job_parts WHERE workspace = $1 AND job_id = $2 AND number = $3;

-- One step further, with what came of it: only for who has the lease, and only from the place
-- that was worked on.
-- name: advance_job
WITH step AS (
    UPDATE jobs
       SET place = $5, done = done + $6, failed = failed + $7, created = created + $8,
           updated = updated + $9, leased_until = now() + $10::interval, updated_at = now(),
           status = CASE WHEN $11 THEN 'succeeded' ELSE status END,
           ended_at = CASE WHEN $11 THEN now() END,
           request = CASE WHEN $11 THEN request - ARRAY['input', 'sealed'] ELSE request END
     WHERE workspace = $1 AND id = $2 AND lease = $3 AND place = $4 AND status = 'running'
    RETURNING id, workspace, kind
),
told AS (
    INSERT INTO job_faults (job_id, workspace, line, number, pointer, message)
    SELECT step.id, step.workspace, fault.*
      FROM step, unnest($12::integer[], $13::integer[], $14::text[], $15::text[])
           AS fault (line, number, pointer, message)
    ON CONFLICT DO NOTHING
),
gone AS (
    DELETE FROM job_parts
     USING step
     WHERE job_id = step.id AND number = $16 AND step.kind <> 'runs_start'
)
SELECT id FROM step;

-- name: release_job
UPDATE jobs SET lease = NULL, leased_until = NULL
 WHERE workspace = $1 AND id = $2 AND lease = $3 AND status = 'running';

-- The longer it has waited the more seldom it looks, half a minute apart at most: many that wait
-- take no turns from those that work.
-- name: postpone_job
UPDATE jobs
   SET lease = NULL,
       leased_until = now() + greatest($4::interval,
                                       least((now() - updated_at) / 10, interval '30 s')),
       expires_at = greatest(expires_at, now() + $5::interval)
 WHERE workspace = $1 AND id = $2 AND lease = $3 AND status = 'running';

-- name: fail_job
UPDATE jobs
   SET status = 'failed', error = $4, ended_at = now(), updated_at = now(),
       request = request - ARRAY['input', 'sealed']
 WHERE workspace = $1 AND id = $2 AND lease = $3 AND status = 'running';

-- name: expire_jobs
UPDATE jobs
   SET status = 'failed', error = $1, ended_at = now(), updated_at = now(), lease = NULL,
       request = request - ARRAY['input', 'sealed']
 WHERE status IN ('queued', 'running') AND expires_at <= now();

-- name: forget_jobs
DELETE FROM jobs
 WHERE (status = 'receiving' AND expires_at <= now())
    OR ended_at < now() - $1::interval;

-- What a job that has ended has not worked off. The leads of a job of starts stay as long as the
-- job: its runs' ids follow from them.
-- name: forget_parts
DELETE FROM job_parts
 USING jobs
 WHERE jobs.id = job_id AND jobs.ended_at IS NOT NULL AND jobs.kind <> 'runs_start';

-- name: forget_omissions
DELETE FROM job_omissions
 USING jobs
 WHERE jobs.id = job_id AND jobs.ended_at IS NOT NULL;
