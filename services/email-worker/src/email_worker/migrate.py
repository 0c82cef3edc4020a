"""`python -m email_worker.migrate`: brings the schema `email_worker` up to date."""

from mirsal_runtime.endings import told_faults
from mirsal_runtime.migrations import migrate

if __name__ == "__main__":
    with told_faults():
        migrate("email_worker", "email_worker", application="mirsal_email_worker")
