"""`python -m orchestrator.migrate`: brings the orchestrator's schema up to date, and ends."""

from mirsal_runtime.migrations import migrate

if __name__ == "__main__":
    migrate("orchestrator", "orchestrator")
