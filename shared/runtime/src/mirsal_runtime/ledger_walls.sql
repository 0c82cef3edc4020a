-- Whose each row of a ledger is, and row-level security; a connector's migration runs this.

-- name: walls
-- The service acts as `mirsal_<owner>`, which owns nothing. Its statements are for commands of many
-- workspaces at once, so it sees all rows.
ALTER TABLE ledger ADD COLUMN workspace text;
COMMENT ON COLUMN ledger.workspace IS 'Whose run it is; NULL: the release before wrote the row';
DO $$
DECLARE
    worker text := 'mirsal_' || current_user;
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), worker);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ledger, ledger_holders TO %I', worker);
    PERFORM guard(kept), open_to(kept, worker)
       FROM unnest(ARRAY['ledger', 'ledger_holders']::regclass[]) AS kept;
END
$$;
