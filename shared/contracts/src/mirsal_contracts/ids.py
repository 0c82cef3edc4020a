"""Ids that follow from other ids, so that a repeated message names the same thing again."""

from hashlib import sha256


def execution_id_of(run_id: str, node_id: str, iteration: int = 0) -> str:
    """The id of one node's work within a run, whose id is a UUID in its usual lower-case form.

    A UUID as well (version 8), with the run's time in its first 48 bits.
    """
    digest = sha256(f"{run_id}/{node_id}/{iteration}".encode()).hexdigest()
    variant = "89ab"[int(digest[4], 16) & 3]
    return f"{run_id[:13]}-8{digest[1:4]}-{variant}{digest[5:8]}-{digest[8:20]}"


def command_id_of(execution_id: str, attempt: int) -> str:
    """The id of one attempt: what providers and mailboxes see."""
    return f"{execution_id}.{attempt}"
