-- name: save
-- Upsert leads ($2: a JSON array without two leads of one id), sorted so that two imports cannot
-- wait for each other.
INSERT INTO leads AS old
       (workspace, lead_id, name, email, phone, locale, time_zone, tags, fields, consent)
SELECT $1, lead_id, name, email, phone, locale, time_zone, tags, fields, consent
  FROM jsonb_to_recordset($2) AS given (
       lead_id text, name text, email text, phone text, locale text, time_zone text,
       tags jsonb, fields jsonb, consent jsonb)
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
       updated_at = now()
RETURNING lead_id, name, email, phone, locale, time_zone, tags, fields, consent, created_at,
          updated_at, xmax = 0 AS is_new;

-- name: read
SELECT lead_id, name, email, phone, locale, time_zone, tags, fields, consent, created_at,
       updated_at
  FROM leads
 WHERE workspace = $1 AND lead_id = $2;

-- name: read_for_change
SELECT lead_id, name, email, phone, locale, time_zone, tags, fields, consent, created_at,
       updated_at
  FROM leads
 WHERE workspace = $1 AND lead_id = $2
   FOR UPDATE;

-- name: list
SELECT lead_id, name, email, phone, locale, time_zone, tags, fields, consent, created_at,
       updated_at
  FROM leads
 WHERE workspace = $1
   AND (created_at, lead_id) > ($2::timestamptz, $3)
   AND ($4::timestamptz IS NULL OR created_at >= $4)
   AND ($5::timestamptz IS NULL OR created_at < $5)
 ORDER BY created_at ASC, lead_id ASC
 LIMIT $6;
