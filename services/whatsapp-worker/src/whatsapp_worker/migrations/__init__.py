"""The history of the schema `whatsapp_worker`."""
