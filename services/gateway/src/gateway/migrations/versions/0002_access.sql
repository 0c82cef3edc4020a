-- Run as the role `gateway`, in its schema. The defaults let the release before write keys too.

ALTER TABLE api_keys
    -- What every key could do so far.
    ADD COLUMN role text NOT NULL DEFAULT 'editor'
        CHECK (role IN ('viewer', 'operator', 'editor', 'owner')),
    ADD COLUMN scopes text[],
    ADD COLUMN workflow_ids text[],
    ADD COLUMN created_by text NOT NULL DEFAULT '',
    ADD COLUMN last_used_at timestamptz,
    ADD COLUMN family uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN replaced_by uuid;
COMMENT ON COLUMN api_keys.scopes IS 'What the key is held to, of its role''s; NULL: nothing.';
COMMENT ON COLUMN api_keys.workflow_ids IS 'The workflows that the key may use; NULL: all.';
COMMENT ON COLUMN api_keys.family IS 'The keys that followed each other by rotation.';
COMMENT ON COLUMN api_keys.last_used_at IS 'Late by some seconds: uses are written together.';
CREATE INDEX api_keys_by_creation ON api_keys (workspace, created_at, id);
CREATE INDEX api_keys_by_family ON api_keys (family);

CREATE TABLE workspace_limits (
    workspace text PRIMARY KEY,
    rate_limit_per_minute integer NOT NULL CHECK (rate_limit_per_minute >= 0)
);
COMMENT ON TABLE workspace_limits IS
    'Calls a minute of a whole workspace, in place of the limit of client addresses.';
