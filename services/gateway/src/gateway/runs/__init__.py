"""Runs: one pass of one lead through one version of a workflow. Started here, made elsewhere."""
