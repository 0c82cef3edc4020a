-- A connector's ledger, in the connector's own schema. Its service's first migration runs this.

-- name: tables
CREATE TABLE ledger (
    run_id       uuid        NOT NULL,
    node_id      text        NOT NULL,
    iteration    integer     NOT NULL,
    attempt      integer     NOT NULL,
    state        text        NOT NULL
                 CHECK (state IN ('open', 'free', 'succeeded', 'failed', 'unconfirmed')),
    holder       uuid        NOT NULL,
    token        bigint      NOT NULL,
    leased_until timestamptz NOT NULL,
    touched_at   timestamptz NOT NULL,
    status       bytea,
    PRIMARY KEY (run_id, node_id, iteration)
) WITH (fillfactor = 50);

COMMENT ON TABLE ledger IS 'One row per node of a run: who may have the effect, and its outcome';
COMMENT ON COLUMN ledger.attempt IS 'The fencing number: the latest attempt that began';
COMMENT ON COLUMN ledger.status IS 'The status message of the outcome, as JSON in UTF-8';

-- A BRIN index costs next to nothing to keep and leaves updates within their page.
CREATE INDEX ledger_touched_at ON ledger USING brin (touched_at) WITH (autosummarize = on);

CREATE TABLE ledger_holders (
    holder    uuid        PRIMARY KEY,
    instance  text        NOT NULL,
    beat      bigint      NOT NULL,
    beaten_at timestamptz NOT NULL
);

COMMENT ON TABLE ledger_holders IS 'The processes that hold claims; beat grows while one lives';
