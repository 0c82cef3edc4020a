"""Whom a workspace may write to: addresses that it may not, and policies (docs/SENDING.md)."""
