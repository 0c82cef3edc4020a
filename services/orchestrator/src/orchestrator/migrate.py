"""`python -m orchestrator.migrate`: brings the orchestrator's schema up to date, and ends."""

from mirsal_runtime.endings import told_faults
from mirsal_runtime.migrations import migrate

from orchestrator.store.runs import ROLE, SCHEMA

if __name__ == "__main__":
    with told_faults():
        migrate("orchestrator", SCHEMA, application=ROLE)
