-- name: save
-- Upsert leads ($2: a JSON array without two leads of one id), sorted so that two imports cannot
-- wait for each other.
INSERT INTO leads AS old
       (workspace, lead_id, name, email, phone, locale, time_zone, tags, fields, consent, key_id,
        sealed, email_index, phone_index)
SELECT $1, lead_id, name, email, phone, locale, time_zone, tags, fields, consent, key_id, sealed,
       decode(email_index, 'hex'), decode(phone_index, 'hex')
  FROM jsonb_to_recordset($2) AS given (
       lead_id text, name text, email text, phone text, locale text, time_zone text,
       tags jsonb, fields jsonb, consent jsonb, key_id uuid, sealed text, email_index text,
       phone_index text)
 ORDER BY lead_id
ON CONFLICT (workspace, lead_id) DO UPDATE
   SET name = excluded.name,
       email = excluded.email,
       phone = excluded.phone,
       locale = excluded.locale,
       time_zone = excluded.time_zone,
       tags = excluded.tags,
       fields = excluded.fields,
       consent = excluded.consent,
       key_id = excluded.key_id,
       sealed = excluded.sealed,
       email_index = excluded.email_index,
       phone_index = excluded.phone_index,
       updated_at = now()
RETURNING created_at, updated_at, xmax = 0 AS is_new;

-- name: read
SELECT lead_id, name, email, phone, locale, time_zone, tags, fields, consent, key_id, sealed,
       created_at, updated_at
  FROM leads
 WHERE workspace = $1 AND lead_id = $2;

-- name: read_for_change
SELECT lead_id, name, email, phone, locale, time_zone, tags, fields, consent, key_id, sealed,
       created_at, updated_at
  FROM leads
 WHERE workspace = $1 AND lead_id = $2
   FOR UPDATE;

-- name: lock
-- Whoever erases one of these leads waits.
SELECT FROM leads WHERE workspace = $1 AND lead_id = ANY ($2::text[]) ORDER BY lead_id FOR UPDATE;

-- name: list
SELECT lead_id, name, email, phone, locale, time_zone, tags, fields, consent, key_id, sealed,
       created_at, updated_at
  FROM leads
 WHERE workspace = $1
   AND (created_at, lead_id) > ($2::timestamptz, $3)
   AND ($4::timestamptz IS NULL OR created_at >= $4)
   AND ($5::timestamptz IS NULL OR created_at < $5)
 ORDER BY created_at ASC, lead_id ASC
 LIMIT $6;

-- Those with an address, or also a number. What is not sealed is compared as it stands.
-- name: find_by_email
SELECT lead_id, name, email, phone, locale, time_zone, tags, fields, consent, key_id, sealed,
       created_at, updated_at
  FROM leads
 WHERE workspace = $1
   AND (created_at, lead_id) > ($2::timestamptz, $3)
   AND ($4::timestamptz IS NULL OR created_at >= $4)
   AND ($5::timestamptz IS NULL OR created_at < $5)
   AND (email_index = $7 OR (sealed IS NULL AND lower(email) = lower($8)))
   AND ($10::text IS NULL OR phone_index = $9 OR (sealed IS NULL AND phone = $10))
 ORDER BY created_at ASC, lead_id ASC
 LIMIT $6;

-- name: find_by_phone
SELECT lead_id, name, email, phone, locale, time_zone, tags, fields, consent, key_id, sealed,
       created_at, updated_at
  FROM leads
 WHERE workspace = $1
   AND (created_at, lead_id) > ($2::timestamptz, $3)
   AND ($4::timestamptz IS NULL OR created_at >= $4)
   AND ($5::timestamptz IS NULL OR created_at < $5)
   AND (phone_index = $7 OR (sealed IS NULL AND phone = $8))
 ORDER BY created_at ASC, lead_id ASC
 LIMIT $6;

-- Imports that are under way leave the lead out. This waits for one that is saving leads at this
-- moment, so that what it saves is erased.
-- name: omit_from_imports
INSERT INTO job_omissions (job_id, workspace, lead_id)
SELECT id, workspace, $2
  FROM jobs
 WHERE workspace = $1
   AND kind = 'leads_import'
   AND status IN ('receiving', 'queued', 'running')
   FOR KEY SHARE
    ON CONFLICT DO NOTHING;

-- name: lock_import
-- Whoever erases a lead waits.
SELECT FROM jobs WHERE workspace = $1 AND id = $2 FOR UPDATE;

-- name: list_omissions
SELECT lead_id FROM job_omissions WHERE job_id = $1 AND lead_id = ANY ($2::text[]);

-- name: erase
DELETE FROM leads WHERE workspace = $1 AND lead_id = $2 RETURNING lead_id;

-- name: destroy_key
DELETE FROM lead_keys WHERE workspace = $1 AND lead_id = $2 RETURNING id;

-- name: runs_of_lead
-- Its runs, found by the index of executions: no workflow is ever removed.
SELECT DISTINCT run_id
  FROM orchestrator.published_executions
 WHERE workspace = $1
   AND lead_id = $2
   AND workflow_id = ANY (ARRAY(
           SELECT workflow_id FROM workflow_definitions WHERE workspace = $1))
   AND run_id > $3
 ORDER BY run_id
 LIMIT $4;

-- name: list_open
SELECT workspace, lead_id FROM leads WHERE sealed IS NULL ORDER BY workspace, lead_id LIMIT $1;

-- name: read_open
SELECT lead_id, name, email, phone, locale, time_zone, tags, fields, consent
  FROM leads
 WHERE workspace = $1 AND lead_id = ANY ($2::text[]) AND sealed IS NULL
 ORDER BY lead_id
   FOR UPDATE;

-- name: seal
UPDATE leads AS old
   SET name = NULL, email = NULL, phone = NULL, locale = NULL, time_zone = NULL, tags = '[]',
       fields = '{}', consent = '{}', key_id = given.key_id, sealed = given.sealed,
       email_index = decode(given.email_index, 'hex'),
       phone_index = decode(given.phone_index, 'hex')
  FROM jsonb_to_recordset($2) AS given (
       lead_id text, key_id uuid, sealed text, email_index text, phone_index text)
 WHERE old.workspace = $1 AND old.lead_id = given.lead_id AND old.sealed IS NULL
RETURNING old.lead_id;
