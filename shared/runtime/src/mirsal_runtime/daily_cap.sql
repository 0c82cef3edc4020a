-- How many recipients a workspace had today, by this connector: one row a workspace, and only for
-- those that have a cap. Days are UTC's, by PostgreSQL's clock.

-- name: table
CREATE TABLE daily_sends (
    workspace text    PRIMARY KEY,
    day       date    NOT NULL,
    sent      integer NOT NULL CHECK (sent >= 0)
) WITH (fillfactor = 50);
COMMENT ON TABLE daily_sends IS 'Recipients of the latest day; a later day begins at nothing';
DO $$
DECLARE
    worker text := 'mirsal_' || current_user;
BEGIN
    EXECUTE format('GRANT SELECT, INSERT, UPDATE ON daily_sends TO %I', worker);
    PERFORM guard('daily_sends'), open_to('daily_sends', worker);
END
$$;

-- name: take
-- The row is locked and read anew by whoever comes second, so that no two take the same place. One
-- that waited across midnight counts to the day that it finds.
WITH today AS (
    SELECT (now() AT TIME ZONE 'UTC')::date AS day
), taken AS (
    INSERT INTO daily_sends AS kept (workspace, day, sent)
    SELECT $1, day, $2 FROM today
        ON CONFLICT (workspace) DO UPDATE
       SET day = greatest(kept.day, excluded.day),
           sent = CASE WHEN kept.day < excluded.day THEN 0 ELSE kept.sent END + excluded.sent
     WHERE CASE WHEN kept.day < excluded.day THEN 0 ELSE kept.sent END + excluded.sent <= $3
    RETURNING day
)
SELECT (SELECT day FROM taken) AS day,
       extract(epoch FROM (today.day + 1)::timestamp - (now() AT TIME ZONE 'UTC'))::float8
           AS seconds_left
  FROM today;

-- name: give_back
UPDATE daily_sends SET sent = sent - $3 WHERE workspace = $1 AND day = $2;
