"""Tells customers' endpoints what became of their runs."""
