"""The history of the schema `sheets_worker`."""
