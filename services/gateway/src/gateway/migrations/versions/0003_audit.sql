-- Run as the role `gateway`, in its schema.

CREATE TABLE audit_inbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor_kind text NOT NULL,
    actor_id text NOT NULL,
    actor_name text NOT NULL,
    address text NOT NULL,
    action text NOT NULL,
    object_id text NOT NULL,
    before jsonb,
    after jsonb
);
COMMENT ON TABLE audit_inbox IS
    'Entries that a transaction wrote with its change, for moments until they get into the chain.';

CREATE TABLE audit_log (
    workspace text NOT NULL,
    seq bigint NOT NULL CHECK (seq > 0),
    at timestamptz NOT NULL,
    actor_kind text NOT NULL,
    actor_id text NOT NULL,
    actor_name text NOT NULL,
    address text NOT NULL,
    action text NOT NULL,
    object_id text NOT NULL,
    before jsonb,
    after jsonb,
    previous bytea NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (workspace, seq)
);
COMMENT ON TABLE audit_log IS 'Who did what; a chain of hashes for each workspace. Append only.';
CREATE INDEX audit_log_by_object ON audit_log (workspace, object_id, seq);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER unchanged BEFORE UPDATE OR TRUNCATE ON audit_inbox
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

REVOKE UPDATE, DELETE, TRUNCATE ON audit_log FROM gateway, PUBLIC;
REVOKE UPDATE, TRUNCATE ON audit_inbox FROM gateway, PUBLIC;
