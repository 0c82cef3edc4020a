-- One row per tab: which write may be under way, or have happened unseen. Whoever wants to write
-- makes a note first, and takes it away together with what became of it: so one process writes
-- at a time, and a note that stays says what to look for.
-- A tab is one thing whichever workspace writes to it; the workspace is its last writer's.
CREATE TABLE tabs (
    spreadsheet_id text NOT NULL,
    -- Its name with its cases folded: Google does not know "Leads" from "leads".
    sheet text NOT NULL,
    workspace text NOT NULL,
    -- The note; NULL: no write is under way.
    write_id uuid,
    write_began_at timestamptz,
    -- Google has ended it: what it did, if anything, is there to be seen.
    write_ended boolean NOT NULL DEFAULT false,
    -- What to look for: the keys of the rows that it adds, and whose they are; or
    -- `column:<name>`, `clear:<range>`, and `update` for what may be repeated.
    write_keys text[] NOT NULL DEFAULT '{}',
    write_workspaces text[] NOT NULL DEFAULT '{}',
    -- The last row that was added, as far as is known: where looking for rows begins.
    last_row integer NOT NULL DEFAULT 1,
    -- Columns whose number format was set.
    formatted_columns text[] NOT NULL DEFAULT '{}',
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
