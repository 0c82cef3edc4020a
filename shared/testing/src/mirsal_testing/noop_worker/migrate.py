"""`python -m mirsal_testing.noop_worker.migrate`: the noop worker's role, schema and ledger."""

from mirsal_runtime.migrations import migrate

if __name__ == "__main__":
    migrate("mirsal_testing.noop_worker", "noop_worker", application="mirsal_noop_worker")
