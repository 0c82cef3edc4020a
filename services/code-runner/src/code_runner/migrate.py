"""`python -m code_runner.migrate`: brings the schema `code_runner` up to date."""

from mirsal_runtime.endings import told_faults
from mirsal_runtime.migrations import migrate

if __name__ == "__main__":
    with told_faults():
        migrate("code_runner", "code_runner", application="mirsal_code_runner")
