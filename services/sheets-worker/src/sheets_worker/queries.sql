-- name: find_rows
SELECT row_key, place, target, row_number, reason, backfilled_at IS NOT NULL AS backfilled
FROM written_rows
WHERE row_key = ANY ($1::text[]);

-- name: remember_rows
INSERT INTO written_rows
    (spreadsheet_id, sheet, row_key, workspace, place, target, row_number, reason, backfill)
SELECT $1, $2, given.*
FROM unnest(
    $3::text[], $4::text[], $5::text[], $6::text[], $7::integer[], $8::text[], $9::boolean[]
) AS given
ON CONFLICT (row_key) DO UPDATE
SET backfilled_at = now(), row_number = EXCLUDED.row_number
WHERE written_rows.place = 'bigquery' AND EXCLUDED.place = 'sheet'
  AND written_rows.backfilled_at IS NULL;

-- name: forget_rows
DELETE FROM written_rows
WHERE row_key IN (
    SELECT row_key FROM written_rows
    WHERE written_at < now() - make_interval(secs => $1::double precision)
      AND NOT (place = 'bigquery' AND backfill AND backfilled_at IS NULL)
    ORDER BY written_at
    LIMIT 5000
);

-- name: begin_write
-- Nothing comes back when another write is noted.
INSERT INTO tabs AS tab
    (spreadsheet_id, sheet, workspace, write_id, write_began_at, write_keys, write_workspaces)
VALUES ($1, $2, $3, $4, now(), $5, $6)
ON CONFLICT (spreadsheet_id, sheet) DO UPDATE
SET workspace = EXCLUDED.workspace, write_id = EXCLUDED.write_id, write_began_at = now(),
    write_ended = false, write_keys = EXCLUDED.write_keys,
    write_workspaces = EXCLUDED.write_workspaces, updated_at = now()
WHERE tab.write_id IS NULL
RETURNING tab.write_id;

-- name: end_write
UPDATE tabs
SET write_id = NULL, write_began_at = NULL, write_keys = '{}', write_workspaces = '{}',
    last_row = COALESCE($4, last_row),
    formatted_columns = (
        SELECT COALESCE(array_agg(DISTINCT name), '{}')
        FROM unnest(formatted_columns || $5::text[]) AS name
    ),
    updated_at = now()
WHERE spreadsheet_id = $1 AND sheet = $2 AND write_id = $3;

-- name: mark_write_ended
UPDATE tabs SET write_ended = true, updated_at = now()
WHERE spreadsheet_id = $1 AND sheet = $2 AND write_id = $3;

-- name: look
SELECT write_id, write_ended, write_keys, write_workspaces, last_row, formatted_columns,
       COALESCE(extract(epoch FROM now() - write_began_at), 0)::double precision AS age
FROM tabs
WHERE spreadsheet_id = $1 AND sheet = $2;
