-- Statements of mirsal_runtime.migrations. Those named `write_...` return the statement to run,
-- with its identifiers quoted by PostgreSQL.

-- name: read_standing
SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1) AS has_role,
       EXISTS (SELECT FROM pg_namespace WHERE nspname = $1) AS has_schema,
       coalesce((SELECT pg_has_role(current_user, oid, 'MEMBER') FROM pg_roles WHERE rolname = $1),
                false) AS is_member,
       coalesce((SELECT nspowner::regrole::text = quote_ident($1)
                   FROM pg_namespace WHERE nspname = $1), false) AS owns_schema,
       to_regclass(quote_ident($1) || '.alembic_version') IS NOT NULL AS has_version;

-- name: write_read_version
SELECT format('SELECT version_num FROM %I.alembic_version', $1::text);

-- name: write_create_role
SELECT format('CREATE ROLE %I NOLOGIN', $1::text);

-- name: write_grant_role
SELECT format('GRANT %I TO CURRENT_USER', $1::text);

-- name: write_create_schema
SELECT format('CREATE SCHEMA %I AUTHORIZATION %I', $1::text, $1::text);

-- name: write_give_schema
SELECT format('ALTER SCHEMA %I OWNER TO %I', $1::text, $1::text);

-- name: may_take
-- Whether who was granted the role $1 may act as $2; null where there is no such role.
SELECT (SELECT pg_has_role(owner.oid, application.oid, 'MEMBER')
          FROM pg_roles AS owner, pg_roles AS application
         WHERE owner.rolname = $1 AND application.rolname = $2);

-- name: write_grant_application
SELECT format('GRANT %I TO %I', $2::text, $1::text);

-- name: lock
SELECT pg_advisory_lock(hashtextextended('mirsal.migrate.' || $1, 0));

-- name: unlock
SELECT pg_advisory_unlock(hashtextextended('mirsal.migrate.' || $1, 0));
