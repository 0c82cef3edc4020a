"""What people want of runs: cancel, retry, decide. The orchestrator has the last word."""
