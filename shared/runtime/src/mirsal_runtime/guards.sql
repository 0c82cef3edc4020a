-- Row-level security, as a service's migrations set it up in the service's schema. The settings
-- are those of a session: without them a session sees nothing of a table that is kept apart.

-- name: functions
-- Force the table's policies upon everybody, the owner too. The owner sees all rows by a policy:
-- migrations and published views act as the owner, and so does the release before this one.
CREATE FUNCTION guard(guarded regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', guarded);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', guarded);
    EXECUTE format('CREATE POLICY owner ON %s TO %I USING (true)', guarded, current_user);
END
$$;

-- The role works on the rows of all workspaces at once.
CREATE FUNCTION open_to(guarded regclass, reader text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE POLICY %I ON %s TO %I USING (true)', reader, guarded, reader);
END
$$;

-- The role sees the rows of the workspace that its session names, or all if its session says so.
CREATE FUNCTION keep_apart(guarded regclass, reader text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format(
        'CREATE POLICY %I ON %s TO %I USING ('
        'current_setting(''mirsal.everywhere'', true) = ''on'' '
        'OR workspace = current_setting(''mirsal.workspace'', true))',
        reader, guarded, reader);
END
$$;
