"""The raw ceiling: bare processes that make the same hops as Mirsal, and promise nothing."""
