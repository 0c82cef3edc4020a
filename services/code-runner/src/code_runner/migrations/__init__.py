"""The history of the schema `code_runner`."""
