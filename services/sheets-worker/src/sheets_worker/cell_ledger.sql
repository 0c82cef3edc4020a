-- name: take_cells
-- Nothing comes back where the count is unknown, old or would go too high: then look.
UPDATE workbooks SET cells = cells + $2
WHERE spreadsheet_id = $1 AND full_since IS NULL AND cells + $2 <= $3
  AND counted_at > now() - make_interval(secs => $4::double precision)
RETURNING cells;

-- name: count_cells
INSERT INTO workbooks (spreadsheet_id, workspace, cells, counted_at, full_since)
VALUES ($1, $2, $3, now(), CASE WHEN $4::boolean THEN now() END)
ON CONFLICT (spreadsheet_id) DO UPDATE
SET workspace = EXCLUDED.workspace, cells = EXCLUDED.cells, counted_at = now(),
    full_since = CASE WHEN $4::boolean THEN COALESCE(workbooks.full_since, now()) END;

-- name: look_at_workbook
SELECT cells, full_since IS NOT NULL AS is_full,
       extract(epoch FROM now() - counted_at)::double precision AS age
FROM workbooks
WHERE spreadsheet_id = $1;
