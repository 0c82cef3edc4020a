"""An import so far: what its report will say, and what the audit log tells of it. Pure."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

from gateway.audit.entries import Action, Entry, Origin
from gateway.leads.schemas import ImportReport, LineFault
from gateway.leads.store import NewLead, Saved

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

    from mirsal_contracts.message import JsonObject

FAULTS_SHOWN: Final = 100
OMITTED: Final = "the lead was erased after this import had begun"


class Tally:
    """Counts lines and leads; keeps the first `most_faults`, or all. `waiting` are the leads that
    are to be saved next. `job_id` is whose part it is, if it is one.

    In the audit log an import is one entry with its counts, in the transaction that saves its
    last leads; where it takes several, the first one says that it began.
    """

    def __init__(
        self,
        origin: Origin,
        most_faults: int | None = FAULTS_SHOWN,
        job_id: UUID | None = None,
    ) -> None:
        self.origin = origin
        self.job_id = job_id
        self._most_faults = most_faults
        self.received = self.created = self.updated = self.failed = 0
        self.waiting: list[NewLead] = []
        self.faults: list[LineFault] = []
        self.is_begun = self.is_ended = False
        self._import_id = str(uuid4())
        self._ids = sha256()

    def describe(self, *, is_last: bool) -> Callable[[int], Entry | None]:
        """The entry for saving what waits, by how many of it are new."""
        if is_last:
            return lambda created: self.to_entry(self.waiting, created)
        return lambda _: None if self.is_begun else self._begin()

    def keep(self, faults: list[LineFault]) -> None:
        """Some more faults, as far as there is room for them."""
        room = None if self._most_faults is None else self._most_faults - len(self.faults)
        self.faults.extend(faults[:room])

    def take_saved(self, saved: Saved) -> None:
        """What waited is saved, but for what had to be left out."""
        kept = [lead for lead in self.waiting if lead.lead_id not in saved.omitted]
        left_out = [lead for lead in self.waiting if lead.lead_id in saved.omitted]
        self.created += saved.created
        self.updated += len(kept) - saved.created
        self.failed += len(left_out)
        self.keep(
            [LineFault(line=lead.line, pointer="/leadId", message=OMITTED) for lead in left_out]
        )
        _add_ids(self._ids, kept)
        self.waiting.clear()

    def to_entry(
        self, more: Sequence[NewLead] = (), created: int = 0, *, is_broken_off: bool = False
    ) -> Entry:
        """The import as it ended, with `more` that are saved now, of which `created` are new."""
        ids = self._ids.copy()
        _add_ids(ids, more)
        after: JsonObject = {
            "received": self.received,
            "created": self.created + created,
            "updated": self.updated + len(more) - created,
            "failed": self.failed,
            "brokenOff": is_broken_off,
            "sha256": ids.hexdigest(),
        }
        return Entry(self.origin, Action.LEADS_IMPORTED, self._import_id, None, after)

    def to_report(self) -> ImportReport:
        """What the caller is told."""
        return ImportReport(
            received=self.received,
            created=self.created,
            updated=self.updated,
            failed=self.failed,
            errors=self.faults,
        )

    def _begin(self) -> Entry:
        return Entry(self.origin, Action.LEADS_IMPORT_BEGAN, self._import_id)


def _add_ids(ids: "Hash", leads: Sequence[NewLead]) -> None:
    """The hash is of the saved leads' ids, one a line, in their order."""
    for lead in leads:
        ids.update(lead.lead_id.encode() + b"\n")
