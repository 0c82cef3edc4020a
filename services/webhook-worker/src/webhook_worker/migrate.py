"""`python -m webhook_worker.migrate`: brings the worker's schema up to date, and ends."""

from mirsal_runtime.endings import told_faults
from mirsal_runtime.migrations import migrate

if __name__ == "__main__":
    with told_faults():
        migrate("webhook_worker", "webhook_worker", application="mirsal_webhook_worker")
