-- Run as the role `orchestrator`, in its schema.

-- What changed lately, for live events. A B-tree would cost each update of a run another entry;
-- this one leaves updates within their page as cheap as they are.
CREATE INDEX runs_by_change ON runs USING brin (updated_at) WITH (autosummarize = on);
