"""Workflow definitions and their immutable versions."""
