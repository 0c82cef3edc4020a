"""Opening what is sealed with keys of leads, for answers to those who may read it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import structlog
from mirsal_contracts.leads import ERROR, LEAD, OUTPUT, SEALED, Lead
from mirsal_contracts.message import JsonObject
from mirsal_runtime.vault.keys import KeyKeeper
from mirsal_runtime.vault.lead_keys import FIND_KEYS, LEAD_ERASED, KeyRow, KeysAway, LeadKeys
from mirsal_runtime.vault.personal import KeyName, LeadKey, key_of_hidden
from mirsal_runtime.vault.sealing import SealBroken

from gateway.problems import unavailable
from gateway.store import Database

UNREADABLE: Final = "The vault cannot open this at the moment."

log = structlog.get_logger(__name__)


class Parts(NamedTuple):
    """What an execution tells that may be sealed."""

    execution_id: str
    output: JsonObject | None
    error: JsonObject | None


class Opener:
    """Finds keys, many callers' in one statement. Raises a 503 `Problem` where none are to be had,
    or one does not open, and `DatabaseUnavailable`."""

    def __init__(self, database: Database, keeper: KeyKeeper) -> None:
        async def find_rows(ids: list[str]) -> list[KeyRow]:
            return await database.fetch_everywhere(FIND_KEYS, ids)

        self._keys = LeadKeys(find_rows, keeper)

    async def find_keys(self, workspace: str, key_ids: Iterable[str]) -> dict[str, LeadKey]:
        """The keys that are not gone, by their ids."""
        names = {KeyName(workspace, key_id) for key_id in key_ids}
        if not names:
            return {}
        try:
            found = await self._keys.find(names)
        except KeysAway as error:
            log.error("vault_unusable", workspace=workspace, error=error)
            raise unavailable(UNREADABLE) from None
        keys: dict[str, LeadKey] = {}
        for name, key in found.items():
            if isinstance(key, LeadKey):
                keys[name.key_id] = key
            elif key.code != LEAD_ERASED:
                raise unavailable(UNREADABLE)
        return keys

    def forget(self, workspace: str, key_id: str) -> None:
        """The lead was erased here."""
        self._keys.forget(KeyName(workspace, key_id))

    async def open_parts(self, workspace: str, parts: Sequence[Parts]) -> list[Parts]:
        """The same with what was sealed; of an erased lead there is nothing but an error's code.

        What does not open, be it that it was never sealed and only looks so, is given as it is:
        one such execution must not hide all others of its page.
        """
        wanted = [
            (key_of_hidden(part.output), key_of_hidden(_details(part.error))) for part in parts
        ]
        keys = await self.find_keys(workspace, {each for pair in wanted for each in pair if each})
        return [
            part if pair == (None, None) else _open_part(part, pair, keys)
            for part, pair in zip(parts, wanted, strict=True)
        ]


def open_lead(key: LeadKey, text: str) -> Lead:
    """The lead of a sealed row. Raises a 503 `Problem` where it does not open."""
    try:
        return Lead.model_validate_json(key.open(text, LEAD))
    except SealBroken:
        log.error("lead_unreadable", key_ids=[key.id])
        raise unavailable(UNREADABLE) from None


def _open_part(
    part: Parts, pair: tuple[str | None, str | None], keys: Mapping[str, LeadKey]
) -> Parts:
    of = part.execution_id
    output, error = part.output, part.error
    try:
        if output is not None and pair[0] is not None:
            key = keys.get(pair[0])
            output = None if key is None else key.reveal(output, OUTPUT, of)
        if error is not None and pair[1] is not None:
            error = open_error(error, keys.get(pair[1]), of)
    except SealBroken:
        log.error("execution_unreadable", execution_id=of)
        return part
    return Parts(of, output, error)


def open_error(error: JsonObject, key: LeadKey | None, of: str) -> JsonObject:
    """An error with its true words, or without any where there is no key. Raises `SealBroken`."""
    left = {name: value for name, value in error.items() if name != "details"}
    details = _details(error)
    if key is None or details is None:
        return left
    return {**left, **key.reveal(details, ERROR, of)}


def _details(error: JsonObject | None) -> JsonObject | None:
    details = error.get("details") if error else None
    return details if isinstance(details, dict) and SEALED in details else None
