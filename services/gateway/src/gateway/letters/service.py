"""Finding, reading and replaying dead letters."""

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from mirsal_contracts.controls import ReplayLetter

from gateway.audit.entries import Action, Entry
from gateway.audit.origins import origin_of
from gateway.audit.trail import Trail
from gateway.auth.schemas import Principal
from gateway.controls.wishes import publish_wishes, write_wish
from gateway.issued_ids import derive_stem
from gateway.letters.masking import MASK, show_headers, show_value
from gateway.letters.schemas import (
    LetterContent,
    LetterHeader,
    LetterPage,
    LetterView,
    ReplayAccepted,
)
from gateway.letters.store import LetterFilter, LetterStore, WholeLetter
from gateway.paging import Asked, cut_page
from gateway.problems import conflict, not_found
from gateway.publishing import Intake
from gateway.runs.launch import Call, Deadlines, Launcher
from gateway.store import DatabaseUnavailable

if TYPE_CHECKING:
    from mirsal_contracts.message import JsonObject

LETTER_PATH = "/api/automation/dead-letter/"


class Letters:
    """What callers may do with the dead letters of their workspace. Raises `Problem` and
    `DatabaseUnavailable`."""

    def __init__(
        self, store: LetterStore, launcher: Launcher, intake: Intake, trail: Trail
    ) -> None:
        self._store = store
        self._launcher = launcher
        self._intake = intake
        self._trail = trail

    async def list_letters(
        self, caller: Principal, wanted: LetterFilter, asked: Asked
    ) -> LetterPage:
        """A page of letters."""
        found = await self._store.list_letters(caller.workspace, caller.workflow_ids, wanted, asked)
        items, cursor = cut_page(found, asked.limit, lambda each: each.place)
        return LetterPage(items=[each.summary for each in items], next_cursor=cursor)

    async def read(self, caller: Principal, letter_id: str) -> LetterView:
        """One letter; what may be personal in it is masked."""
        letter, number = await self._find(caller, letter_id)
        replays = await self._store.read_replays(caller.workspace, number)
        shown = _content_of(letter, whole=False)
        return LetterView(**{**dict(letter.summary), **dict(shown)}, replays=replays)

    async def read_content(self, caller: Principal, letter_id: str) -> LetterContent:
        """All of the record but what is called a secret."""
        letter, _ = await self._find(caller, letter_id)
        found_id = letter.summary.letter_id
        await self._trail.record(Entry(origin_of(caller), Action.LETTER_READ, found_id))
        return _content_of(letter, whole=True)

    async def replay(self, call: Call, letter_id: str) -> ReplayAccepted:
        """Have a letter dealt with once more."""
        deadlines = Deadlines.from_now()
        try:
            async with asyncio.timeout_at(deadlines.read):
                letter, _ = await self._find(call.caller, letter_id)
                run_id = letter.summary.run_id
                if run_id is None:
                    raise conflict("The letter names no run that could wait for it.")
                claimed = await self._launcher.claim(call)
        except TimeoutError as error:
            raise DatabaseUnavailable("PostgreSQL did not answer in time") from error
        replay_id = self._launcher.issuer.name("control", call.caller.workspace, claimed.stem)
        found_id = letter.summary.letter_id
        asked: JsonObject = {"replayId": replay_id, "runId": run_id}
        entry = Entry(origin_of(call.caller), Action.LETTER_REPLAYED, found_id, None, asked)
        await self._trail.record(entry, until=deadlines.answer)
        message = write_wish(call, run_id, replay_id, partial(_wish_of, letter_id=found_id))
        await publish_wishes(
            self._intake, [message], until=deadlines.answer, ids={"replayId": replay_id}
        )
        return ReplayAccepted(
            replay_id=replay_id,
            letter_id=found_id,
            run_id=run_id,
            status_url=LETTER_PATH + found_id,
        )

    async def replay_page(
        self, call: Call, wanted: LetterFilter, asked: Asked, stem: bytes
    ) -> "ReplayedPage":
        """Have the next letters dealt with once more; ids follow from `stem` and theirs."""
        page = await self.list_letters(call.caller, wanted, asked)
        messages = []
        for letter in page.items:
            if letter.run_id is not None:
                replay_id = self._launcher.issuer.name(
                    "control", call.caller.workspace, derive_stem(stem, letter.letter_id)
                )
                message = write_wish(
                    call,
                    letter.run_id,
                    replay_id,
                    partial(_wish_of, letter_id=letter.letter_id),
                )
                messages.append(message)
        until = Deadlines.from_now().answer
        if messages:
            await publish_wishes(self._intake, messages, until=until, ids={})
        return ReplayedPage(page.next_cursor, len(page.items), len(messages))

    async def _find(self, caller: Principal, letter_id: str) -> tuple[WholeLetter, UUID]:
        try:
            number = UUID(letter_id)
        except ValueError:
            raise not_found("There is no such dead letter.") from None
        found = await self._store.read(caller.workspace, number)
        if found is None or not caller.may_use(found.summary.workflow_id or ""):
            raise not_found("There is no such dead letter.")
        return found, number


class ReplayedPage(NamedTuple):
    """How many letters were `seen` and how many of them `asked` for; the `place` after them."""

    place: str | None
    seen: int
    asked: int


def _wish_of(ids: dict[str, Any], *, letter_id: str) -> ReplayLetter:
    return ReplayLetter(**ids, letter_id=letter_id)


def _content_of(letter: WholeLetter, *, whole: bool) -> LetterContent:
    content = show_value(letter.value, whole=whole)
    headers = show_headers(letter.headers, whole=whole)
    key = None if letter.key is None else letter.key.decode("utf-8", "replace")
    if not whole and key not in (None, letter.summary.run_id):
        key = MASK
    return LetterContent(
        letter_id=letter.summary.letter_id,
        key=key,
        headers=[LetterHeader(name=name, value=value) for name, value in headers],
        payload=content.payload,
        payload_text=content.text,
        is_masked=content.is_masked,
        whole_bytes=letter.whole_bytes or None,
    )
