"""`python -m mirsal_testing.noop_worker.migrate`: the noop worker's role, schema and ledger."""

from mirsal_runtime.endings import told_faults
from mirsal_runtime.migrations import migrate

if __name__ == "__main__":
    with told_faults():
        migrate("mirsal_testing.noop_worker", "noop_worker", application="mirsal_noop_worker")
