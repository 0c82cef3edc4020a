"""The messages that Mirsal's services exchange, as pydantic models; no I/O, settings or logic.

A service written in another language needs only this package's `topics/`, `schemas/` and
`examples/` folders.
"""
