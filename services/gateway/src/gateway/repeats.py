"""Calls that make something in PostgreSQL: once for each Idempotency-Key.

The claim of the key and what is made count together or not at all. Nothing of the answer is kept
but the id of what was made: secrets are shown once. Starts of runs have `runs.launch` instead.
"""

from typing import Any, Final, NamedTuple
from uuid import UUID

from mirsal_runtime.queries import load_queries

from gateway.problems import Fault, Problem, invalid
from gateway.store import Transaction

_SQL = load_queries("gateway", "repeats.sql")
HEADER: Final = "Idempotency-Key"


class Once(NamedTuple):
    """A call that makes something under `id`. Without a `key` each such call makes its own."""

    workspace: str
    route: str
    key: str | None
    body_hash: bytes
    id: UUID


class Repeated(Exception):
    """An earlier call with this key made what has `id`, or did what it asked for."""

    def __init__(self, earlier: UUID) -> None:
        super().__init__(str(earlier))
        self.id = earlier


async def claim(work: Transaction, once: Once) -> Repeated | None:
    """Take the key for this call; None if it is the first. Raises a 422 `Problem` if the first
    one said something else."""
    if once.key is None:
        return None
    row = await work.fetch_row(_SQL["claim"], *once)
    if row is None or row["id"] == once.id:
        return None
    if row["body_hash"] != once.body_hash:
        text = "another call was made with this key already: use a new key for a new call"
        raise invalid([Fault(text, parameter=HEADER)])
    return Repeated(row["id"])


async def take_turn(work: Transaction, name: str) -> None:
    """Wait for every transaction that gave the same name before."""
    await work.fetch(_SQL["take_turn"], name)


def shown_already(path: str) -> Problem:
    """409: what has a secret was made by an earlier call with the key, and is at `path`."""
    return Problem(
        409,
        "conflict",
        "Conflict",
        f"An earlier call with this {HEADER} made {path}. Its secret was in that answer alone: "
        "rotate it if you need another.",
        headers={"Location": path},
    )


def describe_key(description: str) -> dict[str, Any]:
    """The header as the OpenAPI document has it."""
    return {
        "name": HEADER,
        "in": "header",
        "required": False,
        "description": description,
        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    }


REPEATABLE: Final = describe_key(
    "Names this call: repeated with the same key and body it makes nothing new and gets what the "
    "first one made, for at least 48 hours. Another body is refused with 422."
)
SHOWN_ONCE: Final = describe_key(
    "Names this call: repeated with the same key and body it makes nothing new, for at least 48 "
    "hours, and is refused with 409: `Location` names what the first one made, whose secret "
    "nobody keeps. Another body is refused with 422."
)
