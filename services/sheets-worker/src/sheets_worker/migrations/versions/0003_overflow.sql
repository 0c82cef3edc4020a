-- A row that its sheet does not take is bound for BigQuery before it is sent there: from then on it
-- goes nowhere else, whoever dies. NULL: bound, and nobody knows yet whether it is there.
ALTER TABLE written_rows ADD COLUMN stored_at timestamptz;

-- What is in BigQuery and belongs into the sheet, tab by tab, oldest first.
DROP INDEX written_rows_to_backfill;
CREATE INDEX written_rows_to_backfill ON written_rows (spreadsheet_id, sheet, written_at, row_key)
    WHERE place = 'bigquery' AND backfill AND backfilled_at IS NULL AND stored_at IS NOT NULL;
