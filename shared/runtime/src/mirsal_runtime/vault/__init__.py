"""The accounts of workspaces: sealed by the gateway, opened by connectors (docs/CREDENTIALS.md)."""
