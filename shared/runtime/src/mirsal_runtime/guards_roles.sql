-- Roles that several services' migrations need.

-- name: roles
-- Have a role that another service's migration makes as well; whichever comes first does, if it may.
CREATE FUNCTION have_role(wanted text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    own text := current_user;
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
        RETURN;
    END IF;
    PERFORM set_config('role', 'none', true);
    BEGIN
        EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
    EXCEPTION
        WHEN duplicate_object OR unique_violation THEN NULL;
        WHEN insufficient_privilege THEN
            RAISE EXCEPTION 'the role "%" is missing, and this user may not create roles: let '
                'somebody who may run CREATE ROLE % NOLOGIN', wanted, wanted;
    END;
    PERFORM set_config('role', own, true);
END
$$;
