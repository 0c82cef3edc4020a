"""Accounts of workspaces at providers: written, never read back (docs/CREDENTIALS.md)."""
