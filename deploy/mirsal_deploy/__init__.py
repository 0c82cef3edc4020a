"""What makes and judges the files that deploy Mirsal. Never part of a running service."""
