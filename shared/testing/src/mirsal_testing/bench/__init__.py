"""`make bench`: the platform under load, beside what bare processes reach on the same machine."""
