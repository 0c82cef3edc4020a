"""Ids that follow from other ids, so that a repeated message names the same thing again."""

from hashlib import sha256
from uuid import UUID


def execution_id_of(run_id: str, node_id: str, iteration: int = 0) -> str:
    """The id of one node's work within a run: a UUID with the run's time (version 8)."""
    digest = sha256(f"{run_id}/{node_id}/{iteration}".encode()).digest()
    bits = bytearray(UUID(run_id).bytes[:6] + digest[:10])
    bits[6] = (bits[6] & 0x0F) | 0x80
    bits[8] = (bits[8] & 0x3F) | 0x80
    return str(UUID(bytes=bytes(bits)))


def command_id_of(execution_id: str, attempt: int) -> str:
    """The id of one attempt: what providers and mailboxes see."""
    return f"{execution_id}.{attempt}"
