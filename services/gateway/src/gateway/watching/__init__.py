"""Watching runs and executions change: one look at the tables for all who wait at that moment."""
