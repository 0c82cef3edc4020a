-- One row per tab: who may write to it, and what may lie behind a write that nobody saw end.
-- A tab is one thing whichever workspace writes to it; the workspace is its last writer's.
CREATE TABLE tabs (
    spreadsheet_id text NOT NULL,
    sheet text NOT NULL,
    workspace text NOT NULL,
    holder uuid NOT NULL,
    -- A write that began then may be under way, or have happened unseen; NULL: none.
    writing_since timestamptz,
    -- All rows of ours below this one may be unknown to written_rows.
    last_row integer NOT NULL DEFAULT 1,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (spreadsheet_id, sheet)
);

-- Where each row went. The row key is its execution's id.
CREATE TABLE written_rows (
    row_key text PRIMARY KEY,
    workspace text NOT NULL,
    spreadsheet_id text NOT NULL,
    sheet text NOT NULL,
    place text NOT NULL CHECK (place IN ('sheet', 'bigquery')),
    -- The range or table that the execution was told.
    target text NOT NULL,
    row_number integer,
    -- Why it is not in the sheet.
    reason text,
    -- Whether it is to go to the sheet once that takes rows again.
    backfill boolean NOT NULL DEFAULT false,
    written_at timestamptz NOT NULL DEFAULT now(),
    backfilled_at timestamptz
);
CREATE INDEX written_rows_to_backfill ON written_rows (spreadsheet_id, sheet, written_at)
    WHERE place = 'bigquery' AND backfill AND backfilled_at IS NULL;
CREATE INDEX written_rows_written_at ON written_rows (written_at);

-- One row per workbook: how full it is, and since when it takes nothing.
CREATE TABLE workbooks (
    spreadsheet_id text PRIMARY KEY,
    workspace text NOT NULL,
    -- Cells of all tabs' grids, as counted then and grown by what we appended since.
    cells bigint NOT NULL,
    counted_at timestamptz NOT NULL DEFAULT now(),
    -- Google said that it is full, or the ledger did; looked at again after a while.
    full_since timestamptz
);
