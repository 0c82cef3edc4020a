"""`python -m gateway.migrate`: brings the schema `gateway` up to date."""

from mirsal_runtime.endings import told_faults
from mirsal_runtime.migrations import migrate

from gateway.store import ROLE, SCHEMA

if __name__ == "__main__":
    with told_faults():
        migrate("gateway", SCHEMA, application=ROLE)
