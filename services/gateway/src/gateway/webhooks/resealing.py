"""Sealing webhooks' secrets anew: by another key of the vault, or by the vault at all."""

from collections.abc import AsyncIterator, Sequence
from typing import Final, NamedTuple
from uuid import UUID

import structlog
from mirsal_runtime.queries import load_queries
from mirsal_runtime.webhook_secrets import BY_VAULT, SecretSealer, SecretUnreadable

from gateway.store import Database

BATCH: Final = 500
_SQL: Final = load_queries("gateway.webhooks")

log = structlog.get_logger(__name__)


class Sealed(NamedTuple):
    """An endpoint's secrets as they are stored."""

    id: UUID
    workspace: str
    secret: bytes
    previous_secret: bytes | None


class Resealed(NamedTuple):
    """What was done so far; `unreadable` endpoints were left as they are."""

    done: int = 0
    unreadable: int = 0


class Resealer:
    """Raises `DatabaseUnavailable`. May run beside everything else, and end at any time."""

    def __init__(self, database: Database, sealer: SecretSealer) -> None:
        self._database = database
        self._sealer = sealer

    async def reseal(self, current: str, *, taking: bool) -> AsyncIterator[Resealed]:
        """Have the vault's key `current` seal what another one of its keys did; `taking`: and what
        keys of the release before did, whose workers cannot read it then."""
        wanted, sofar = BY_VAULT + current.encode() + b":", Resealed()
        async for page in self._read():
            for old in page:
                held = [each for each in old[2:] if each is not None]
                others = [each for each in held if not each.startswith(wanted)]
                if not others or not (taking or others[0].startswith(BY_VAULT)):
                    continue
                try:
                    done = await self._write(old, [await self._anew(old, each) for each in held])
                except SecretUnreadable as error:
                    log.error("webhook_secret_unreadable", endpoint_id=old.id, error=error)
                    sofar = sofar._replace(unreadable=sofar.unreadable + 1)
                else:
                    sofar = sofar._replace(done=sofar.done + done)
            yield sofar

    async def _read(self) -> AsyncIterator[Sequence[Sealed]]:
        last = UUID(int=0)
        while rows := await self._database.fetch_everywhere(_SQL["read_sealed"], last, BATCH):
            yield [Sealed(**row) for row in rows]
            last = rows[-1]["id"]

    async def _anew(self, old: Sealed, sealed: bytes) -> bytes:
        secret = await self._sealer.open(sealed, old.workspace, old.id)
        return await self._sealer.seal_by_vault(secret, old.workspace, old.id)

    async def _write(self, old: Sealed, new: Sequence[bytes]) -> int:
        """How many were changed: whoever rotated the secret meanwhile was first."""
        previous = new[1] if len(new) > 1 else None
        rows = await self._database.fetch_everywhere(
            _SQL["reseal"], old.id, old.secret, old.previous_secret, new[0], previous
        )
        return len(rows)
