"""`python -m sheets_worker.migrate`: brings the schema `sheets_worker` up to date."""

from mirsal_runtime.endings import told_faults
from mirsal_runtime.migrations import migrate

if __name__ == "__main__":
    with told_faults():
        migrate("sheets_worker", "sheets_worker", application="mirsal_sheets_worker")
