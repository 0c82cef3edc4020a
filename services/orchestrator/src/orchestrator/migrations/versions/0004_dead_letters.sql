-- Run as the role `orchestrator`, in its schema.

CREATE TABLE dead_letters (
    id uuid PRIMARY KEY,
    workspace text NOT NULL,
    connector text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    position bigint NOT NULL,
    letter_topic text NOT NULL,
    letter_partition integer NOT NULL,
    letter_position bigint NOT NULL,
    reason text NOT NULL,
    text text NOT NULL,
    died_at timestamptz NOT NULL,
    type text NOT NULL,
    run_id uuid,
    execution_id text NOT NULL,
    workflow_id text NOT NULL,
    node_id text NOT NULL,
    lead_id text NOT NULL,
    attempt integer NOT NULL,
    key bytea,
    value bytea,
    headers jsonb NOT NULL,
    whole_bytes integer NOT NULL,
    kept_at timestamptz NOT NULL DEFAULT now(),
    replayed_by text,
    replayed_at timestamptz,
    outcome text
);
COMMENT ON TABLE dead_letters IS 'What nobody could deal with, as it was; from the topics of dead letters.';
COMMENT ON COLUMN dead_letters.id IS 'Follows from position and content: copies of a letter have one.';
COMMENT ON COLUMN dead_letters.workspace IS 'By the record''s headers; empty where they name none.';
COMMENT ON COLUMN dead_letters.position IS 'The offset that the record had in `topic`.';
COMMENT ON COLUMN dead_letters.headers IS 'The record''s own: pairs of a name and Base64.';
COMMENT ON COLUMN dead_letters.whole_bytes IS 'The size of a value that was cut short; otherwise 0.';
CREATE INDEX dead_letters_by_workspace ON dead_letters (workspace, died_at, id);
CREATE INDEX dead_letters_by_run ON dead_letters (run_id);
CREATE INDEX dead_letters_by_age ON dead_letters (died_at);
-- For erasing a lead.
CREATE INDEX dead_letters_by_lead ON dead_letters (workspace, lead_id) WHERE lead_id <> '';
CREATE INDEX dead_letters_not_replayed ON dead_letters (connector) WHERE replayed_at IS NULL;

CREATE TABLE dead_letter_replays (
    letter_id uuid NOT NULL REFERENCES dead_letters (id) ON DELETE CASCADE,
    workspace text NOT NULL,
    replay_id text NOT NULL,
    requested_by text NOT NULL,
    requested_at timestamptz NOT NULL,
    outcome text NOT NULL,
    replayed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (letter_id, replay_id)
);

CREATE TABLE dead_letter_places (
    topic text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL,
    PRIMARY KEY (topic, partition)
);
COMMENT ON TABLE dead_letter_places IS
    'How far the topics of dead letters were read; written with the letters.';

CREATE VIEW published_dead_letters AS
SELECT id AS letter_id, workspace, connector, topic, partition, position, letter_topic,
       letter_partition, letter_position, reason, text, died_at, type, run_id, execution_id,
       workflow_id, node_id, lead_id, attempt, key, value, headers, whole_bytes, replayed_by,
       replayed_at, outcome
  FROM dead_letters;

CREATE VIEW published_dead_letter_replays AS
SELECT letter_id, workspace, replay_id, requested_by, requested_at, outcome, replayed_at
  FROM dead_letter_replays;

GRANT SELECT ON published_dead_letters, published_dead_letter_replays TO gateway;
