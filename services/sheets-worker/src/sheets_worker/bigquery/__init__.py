"""BigQuery, where rows go that a sheet does not take."""
