"""The history of the schema `webhook_worker`."""
