-- name: find_rows
SELECT row_key, place, target, row_number, reason
FROM written_rows
WHERE row_key = ANY ($1::text[]);

-- name: remember_rows
INSERT INTO written_rows
    (spreadsheet_id, sheet, row_key, workspace, place, target, row_number, reason, backfill)
SELECT $1, $2, given.*
FROM unnest(
    $3::text[], $4::text[], $5::text[], $6::text[], $7::integer[], $8::text[], $9::boolean[]
) AS given
ON CONFLICT (row_key) DO NOTHING;
