"""Releases: what is kept of each, and whether the next one can work beside the last."""
