"""`python -m whatsapp_worker.migrate`: brings the schema `whatsapp_worker` up to date."""

from mirsal_runtime.endings import told_faults
from mirsal_runtime.migrations import migrate

if __name__ == "__main__":
    with told_faults():
        migrate("whatsapp_worker", "whatsapp_worker", application="mirsal_whatsapp_worker")
