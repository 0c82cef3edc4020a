"""Customers' endpoints, which are told what became of runs."""
