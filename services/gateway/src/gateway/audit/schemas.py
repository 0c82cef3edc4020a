"""The bodies of the audit call."""

from datetime import datetime

from mirsal_contracts.message import JsonObject

from gateway.audit.chain import Row
from gateway.audit.entries import ActorKind
from gateway.shapes import Answer


class Actor(Answer):
    """Who acted. `id` is the API key's id, `jwt:` and the token's subject, or a system's user."""

    kind: ActorKind
    id: str
    name: str
    address: str


class AuditRow(Answer):
    """One act. `before` and `after` hold what tells of it; personal data only by its type.

    `hash` is SHA-256 of `previous` and of the canonical JSON of the other members.
    """

    seq: int
    at: datetime
    actor: Actor
    action: str
    object_id: str
    before: JsonObject | None
    after: JsonObject | None
    previous: str
    hash: str

    @classmethod
    def from_row(cls, row: Row) -> "AuditRow":
        """The row as REST shows it."""
        members = row.to_members()
        del members["workspace"]
        return cls.model_validate(
            {**members, "previous": row.previous.hex(), "hash": row.hash.hex()}
        )


class AuditPage(Answer):
    """A page of the log, oldest first."""

    items: list[AuditRow]
    next_cursor: str | None
