"""Executions: one node's work within a run. Direct calls of a connector, states and logs."""
