-- Run as the role `gateway`, in its schema.

ALTER TABLE jobs ADD COLUMN traceparent text NOT NULL DEFAULT '';
COMMENT ON COLUMN jobs.traceparent IS
    'The context of the call that made the job: its steps'' spans are below it. Empty for a job that '
    'a gateway of a release before made.';
