-- Runs that wait for a person are counted every few seconds; few of all runs are such.

CREATE INDEX runs_resting ON runs (status) WHERE status IN ('paused', 'unconfirmed');
