"""Who calls: API keys, and how often one may call."""
