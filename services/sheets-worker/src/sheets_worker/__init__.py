"""The Google Sheets connector: rows into a sheet, or into BigQuery when it cannot take them."""
