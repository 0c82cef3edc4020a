-- Idempotency keys of calls that make something in the same transaction.

-- name: claim
-- The first call with a key writes its row, every later one gets that row back; one at the same
-- time waits for what becomes of it.
INSERT INTO idempotency_keys AS old (workspace, route, key, body_hash, id)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (workspace, route, key) DO UPDATE SET issued_at = now()
RETURNING id, body_hash;

-- name: take_turn
SELECT pg_advisory_xact_lock(hashtextextended($1, 0));
