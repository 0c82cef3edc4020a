"""`python -m gateway.migrate`: brings the schema `gateway` up to date."""

from mirsal_runtime.migrations import migrate

from gateway.store import ROLE, SCHEMA

if __name__ == "__main__":
    migrate("gateway", SCHEMA, application=ROLE)
