-- name: have_tab
INSERT INTO tabs (spreadsheet_id, sheet, workspace) VALUES ($1, $2, $3)
ON CONFLICT (spreadsheet_id, sheet) DO NOTHING;

-- name: lock_tab
-- Whoever notes a write to the sheet waits meanwhile, and then finds the rows that are bound.
SELECT write_keys FROM tabs WHERE spreadsheet_id = $1 AND sheet = $2 FOR UPDATE;

-- name: bind_rows
INSERT INTO written_rows
    (spreadsheet_id, sheet, target, row_key, workspace, place, reason, backfill, credential_id)
SELECT $1, $2, $3, given.row_key, given.workspace, 'bigquery', given.reason, given.backfill,
       given.credential_id
FROM unnest($4::text[], $5::text[], $6::text[], $7::boolean[], $8::text[])
    AS given (row_key, workspace, reason, backfill, credential_id)
ORDER BY given.row_key
ON CONFLICT (row_key) DO NOTHING
RETURNING row_key;

-- name: find_bound
SELECT row_key, place, target, row_number, reason, stored_at IS NOT NULL AS stored
FROM written_rows
WHERE row_key = ANY ($1::text[]);

-- name: store_rows
UPDATE written_rows SET stored_at = now()
WHERE row_key = ANY ($1::text[]) AND place = 'bigquery' AND stored_at IS NULL;

-- name: unbind_rows
DELETE FROM written_rows
WHERE row_key = ANY ($1::text[]) AND place = 'bigquery' AND stored_at IS NULL;

-- name: tabs_to_backfill
SELECT DISTINCT spreadsheet_id, sheet, credential_id,
       CASE WHEN credential_id IS NULL THEN '' ELSE workspace END AS owner
FROM written_rows
WHERE place = 'bigquery' AND backfill AND backfilled_at IS NULL AND stored_at IS NOT NULL
LIMIT 1000;

-- name: rows_to_backfill
SELECT row_key, written_at FROM written_rows
WHERE place = 'bigquery' AND backfill AND backfilled_at IS NULL AND stored_at IS NOT NULL
  AND spreadsheet_id = $1 AND sheet = $2 AND (written_at, row_key) > ($3, $4)
  AND credential_id IS NOT DISTINCT FROM $7 AND (credential_id IS NULL OR workspace = $6)
ORDER BY written_at, row_key
LIMIT $5;

-- name: hold_backfill
SELECT pg_try_advisory_lock(hashtext('sheets_worker.backfill'));

-- name: release_backfill
SELECT pg_advisory_unlock(hashtext('sheets_worker.backfill'));
