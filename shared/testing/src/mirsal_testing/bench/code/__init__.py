"""Customers' code under load: through the service, and in the bare boxes as its ceiling."""
