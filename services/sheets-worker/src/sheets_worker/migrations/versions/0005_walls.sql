-- Run as the role `sheets_worker`, in its schema. The service acts as `mirsal_sheets_worker`, which
-- owns nothing. A tab is one thing whichever workspaces write to it, so it sees all rows.
GRANT SELECT, INSERT, UPDATE ON tabs, workbooks TO mirsal_sheets_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON written_rows TO mirsal_sheets_worker;
SELECT guard(kept), open_to(kept, 'mirsal_sheets_worker')
  FROM unnest(ARRAY['tabs', 'written_rows', 'workbooks']::regclass[]) AS kept;
