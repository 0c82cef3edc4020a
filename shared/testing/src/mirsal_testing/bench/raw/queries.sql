-- name: make_table
DROP TABLE IF EXISTS bench_raw_runs;
CREATE TABLE bench_raw_runs (
    run_id uuid PRIMARY KEY,
    steps_done smallint NOT NULL,
    last_event jsonb NOT NULL,
    ended_at timestamptz
);

-- name: drop_table
DROP TABLE IF EXISTS bench_raw_runs;

-- name: write_states
INSERT INTO bench_raw_runs (run_id, steps_done, last_event, ended_at)
SELECT * FROM unnest($1::uuid[], $2::smallint[], $3::jsonb[], $4::timestamptz[])
ON CONFLICT (run_id) DO UPDATE SET
    steps_done = EXCLUDED.steps_done,
    last_event = EXCLUDED.last_event,
    ended_at = EXCLUDED.ended_at;

-- name: count_ended
SELECT count(*) FROM bench_raw_runs WHERE ended_at >= to_timestamp($1::float8);

-- name: read_ended
SELECT run_id::text AS run_id, extract(epoch FROM ended_at)::float8 AS ended_at
FROM bench_raw_runs
WHERE ended_at >= to_timestamp($1::float8);
