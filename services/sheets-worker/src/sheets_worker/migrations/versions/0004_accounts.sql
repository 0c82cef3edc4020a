-- A row that comes back to its sheet is written by the account that its node named.
ALTER TABLE written_rows ADD COLUMN credential_id text;
COMMENT ON COLUMN written_rows.credential_id IS
    'Which of the workspace''s accounts; NULL: the installation''s.';
