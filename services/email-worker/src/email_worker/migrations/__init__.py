"""The history of the schema `email_worker`."""
